package overrides

import (
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// Limits, far above what anyone needs.
const (
	maxOverridesBytes = 256 << 10
	maxOverrides      = 1000 // entries
	maxDescription    = 500  // bytes; the same as for an annotation
)

// overrideFields are the fields of an entry, in the order in which people write them.
var overrideFields = []string{"name", "namespace", "add", "disable", "type", "url", "path", "health", "description", "primary", "connection"}

// Parse reads the value of Key. With any mistake, all overrides are refused; the result
// then lists everything that is wrong, at most service.MaxInvalid findings. The form is
// described in docs/outputs.md:
//
//	toolsets:
//	- {name: grafana, namespace: shop, disable: true}
//	- {name: prometheus, namespace: monitoring, primary: true}
//	- {name: metrics, namespace: cloud, add: true, type: prometheus, url: "https://metrics.example.com"}
//	- {name: mimir, namespace: monitoring, connection: {tenant: shop}}
func Parse(doc []byte) (*Set, []service.Invalid) {
	p := &parser{o: &Set{byName: map[string][]*override{}}, seen: map[string]string{}, added: map[service.Key]string{}}
	p.MaxBytes, p.MaxProblems = maxOverridesBytes, service.MaxInvalid
	p.document(doc)
	if len(p.Problems()) == 0 {
		return p.o, nil
	}
	var wrong []service.Invalid
	for _, f := range p.Problems() {
		if f.Line > 0 {
			f.Text += fmt.Sprintf(" (line %d)", f.Line)
		}
		wrong = append(wrong, service.Invalid{Field: f.Field, Message: f.Text})
	}
	return nil, wrong
}

type parser struct {
	strictyaml.Reader
	o     *Set
	seen  map[string]string      // namespace/name of an entry that changes -> its place
	added map[service.Key]string // of an entry that adds -> its place
}

// document reads the whole. Nothing, or comments only, are no overrides.
func (p *parser) document(doc []byte) {
	root := p.Read(doc)
	if !root.Given() {
		return
	}
	m, ok := root.Mapping("toolsets")
	if ok && !m.Has("toolsets") {
		m.Get("toolsets").Bad(`is missing; write "toolsets: []" for no overrides`)
	}
	for i, v := range m.Get("toolsets").List(maxOverrides) {
		p.entry(v, i)
	}
}

// entry reads one entry of the list.
func (p *parser) entry(value strictyaml.Value, index int) {
	m, ok := value.Mapping(overrideFields...)
	if !ok {
		return
	}
	v := &override{index: index}
	before := len(p.Problems())
	name, namespace := m.Get("name"), m.Get("namespace")
	if v.name = name.Text(); !name.Given() {
		name.Bad("is missing; write the name of the toolset or of its Service")
	} else if v.name != "" && !endpoint.IsSubdomain(v.name) {
		name.Bad("must be lower case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters")
	}
	if v.namespace = namespace.Text(); v.namespace != "" && !endpoint.IsLabel(v.namespace) {
		namespace.Bad("must be the name of a namespace: lower case letters, digits and '-', at most 63 characters")
	}
	add := m.Get("add").IsTrue()
	v.disable, v.primary = m.Get("disable").Bool(), m.Get("primary").Bool()
	v.changes = readChanges(m)
	if add {
		p.add(v, m, before)
	} else {
		p.change(v, m, before)
	}
}

// readChanges reads the fields that give new values.
func readChanges(m strictyaml.Mapping) (c changes) {
	kind, url, path, health, description := m.Get("type"), m.Get("url"), m.Get("path"), m.Get("health"), m.Get("description")
	if c.kind = kind.Text(); c.kind != "" && !endpoint.IsLabel(c.kind) {
		kind.Bad("must be lower case letters, digits and '-', at most 63 characters, such as \"prometheus\"")
	}
	if s := url.Text(); s != "" {
		var problem string
		if c.url, problem = parseOverrideURL(s); problem != "" {
			url.Bad("%s", problem)
		}
	}
	if path.Given() {
		s := ""
		if !path.IsEmptyText() { // which removes the path
			s = strings.TrimRight(path.Text(), "/")
		}
		if problem := endpoint.PathProblem(s); s != "" && problem != "" {
			path.Bad("%s", problem)
		}
		c.path = &s
	}
	if c.health = health.Text(); strings.HasPrefix(c.health, "/") {
		if problem := endpoint.PathProblem(c.health); problem != "" {
			health.Bad("%s", problem)
		}
	} else if c.health != "" {
		canonical, problem := endpoint.Parse(c.health)
		if problem != "" {
			health.Bad("%s; or write a path that starts with /, such as /health", problem)
		}
		c.health = canonical
	}
	c.connection = readConnection(m.Get("connection"))
	if c.description = description.Text(); len(c.description) > maxDescription {
		description.Bad("has %d bytes; at most %d are accepted", len(c.description), maxDescription)
	}
	return c
}

// add takes an entry that adds a toolset.
func (p *parser) add(v *override, m strictyaml.Mapping, before int) {
	for _, field := range []string{"namespace", "type", "url"} {
		if !m.Has(field) {
			m.Get(field).Bad("is missing, which an added toolset must have")
		}
	}
	if v.disable != nil {
		m.Get("disable").Bad("makes no sense with add; remove the entry instead")
	}
	key := service.Key{Namespace: v.namespace, Name: v.name}
	if first, ok := p.added[key]; ok && v.name != "" {
		m.Get("name").Bad("is added by %s as well; names are unique in a namespace", first)
	}
	p.added[key] = v.at()
	if len(p.Problems()) == before {
		p.o.added = append(p.o.added, v.backend(v.namespace, v.name, v.primary != nil && *v.primary))
	}
}

// change takes an entry that changes what was discovered.
func (p *parser) change(v *override, m strictyaml.Mapping, before int) {
	if m.Has("name") && (m.Len() == 1 || m.Len() == 2 && m.Has("namespace")) {
		m.Bad(`changes nothing; add "disable: true", or what is to be changed: %s`, strings.Join(overrideFields[4:], ", "))
	}
	if (m.Has("url") || m.Has("health")) && !m.Has("namespace") {
		m.Get("namespace").Bad("is missing, without which all of this name, in any namespace, would get one address; to add a toolset, write add: true")
	}
	if m.Has("connection") && !m.Has("namespace") {
		m.Get("namespace").Bad("is missing, without which all of this name, in any namespace, would be sent these credentials and headers")
	}
	key := v.namespace + "/" + v.name
	if first, ok := p.seen[key]; ok && v.name != "" {
		m.Get("name").Bad("is changed by %s as well; put both into one entry", first)
	}
	p.seen[key] = v.at()
	if len(p.Problems()) == before {
		p.o.byName[v.name] = append(p.o.byName[v.name], v)
	}
}

// parseOverrideURL is endpoint.Parse for all schemes that a toolset may have. Those other
// than http and https need a port and have no path.
func parseOverrideURL(s string) (canonical, problem string) {
	scheme, rest, _ := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !slices.Contains([]string{"tcp", "grpc", "grpcs"}, scheme) {
		return endpoint.Parse(s)
	}
	canonical, problem = endpoint.Parse("http://" + rest)
	host := afterScheme(canonical)
	switch {
	case problem != "":
		return "", problem
	case strings.Contains(host, "/"), !strings.Contains(host[strings.IndexByte(host, ']')+1:], ":"):
		return "", "must have the form " + scheme + "://host:port"
	}
	return scheme + "://" + host, ""
}
