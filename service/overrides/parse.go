package overrides

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/internal/suggest"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// Limits, far above what anyone needs.
const (
	maxOverridesBytes = 256 << 10
	maxOverrides      = 1000 // entries
	maxDescription    = 500  // bytes; the same as for an annotation
)

// overrideFields are the fields of an entry, in the order in which people write them.
var overrideFields = []string{"name", "namespace", "add", "disable", "type", "url", "path", "health", "description", "primary"}

// Parse reads the value of Key. With any mistake, all overrides are refused; the result
// then lists everything that is wrong, at most service.MaxInvalid findings. The form is
// described in docs/outputs.md:
//
//	toolsets:
//	- {name: grafana, namespace: shop, disable: true}
//	- {name: prometheus, namespace: monitoring, primary: true}
//	- {name: metrics, namespace: cloud, add: true, type: prometheus, url: "https://metrics.example.com"}
func Parse(doc []byte) (*Set, []service.Invalid) {
	r := &overridesReader{o: &Set{byName: map[string][]*override{}}, seen: map[string]string{}, added: map[service.Key]string{}}
	r.document(doc)
	if len(r.found) > 0 {
		return nil, r.found
	}
	return r.o, nil
}

type overridesReader struct {
	o     *Set
	found []service.Invalid
	seen  map[string]string      // namespace/name of an entry that changes -> its place
	added map[service.Key]string // of an entry that adds -> its place
}

// bad records a mistake. n gives its line, and may be nil.
func (r *overridesReader) bad(n *yaml.Node, field, format string, args ...any) {
	if len(r.found) >= service.MaxInvalid {
		return
	}
	message := fmt.Sprintf(format, args...)
	if n != nil && n.Line > 0 {
		message += fmt.Sprintf(" (line %d)", n.Line)
	}
	r.found = append(r.found, service.Invalid{Field: field, Message: message})
}

// document reads the whole document. It works on YAML nodes, so that no alias is ever
// expanded.
func (r *overridesReader) document(doc []byte) {
	switch {
	case len(doc) > maxOverridesBytes:
		r.bad(nil, "", "has %d bytes; at most %d are accepted", len(doc), maxOverridesBytes)
		return
	case !utf8.Valid(doc):
		r.bad(nil, "", "is not UTF-8")
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(doc))
	var root, more yaml.Node
	switch err := d.Decode(&root); {
	case err == io.EOF:
		return // nothing, or comments
	case err != nil:
		r.bad(nil, "", "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if err := d.Decode(&more); err != io.EOF {
		r.bad(&more, "", "holds more than one YAML document; put all toolsets into one list, without ---")
		return
	}
	if len(root.Content) != 1 {
		r.bad(&root, "", `must be a mapping with the field toolsets`)
		return
	}
	m := r.mapping(root.Content[0], "", []string{"toolsets"})
	if m == nil {
		return
	}
	list := m["toolsets"]
	switch {
	case list == nil:
		r.bad(root.Content[0], "toolsets", `is missing; write "toolsets: []" for no overrides`)
		return
	case list.Kind != yaml.SequenceNode:
		r.bad(list, "toolsets", "must be a list with an entry, beginning with -, for each toolset, not %s", describeNode(list))
		return
	case len(list.Content) > maxOverrides:
		r.bad(list, "toolsets", "has %d entries; at most %d are accepted", len(list.Content), maxOverrides)
		return
	}
	for i, n := range list.Content {
		r.entry(n, i)
	}
}

// entry reads one entry of the list.
func (r *overridesReader) entry(n *yaml.Node, index int) {
	v := &override{index: index}
	at := v.at()
	m := r.mapping(n, at, overrideFields)
	if m == nil {
		return
	}
	before := len(r.found)
	if v.name = r.text(m, at, "name"); m["name"] == nil {
		r.bad(n, at+".name", "is missing; write the name of the toolset or of its Service")
	} else if v.name != "" && !endpoint.IsSubdomain(v.name) {
		r.bad(m["name"], at+".name", "must be lower case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters")
	}
	if v.namespace = r.text(m, at, "namespace"); v.namespace != "" && !endpoint.IsLabel(v.namespace) {
		r.bad(m["namespace"], at+".namespace", "must be the name of a namespace: lower case letters, digits and '-', at most 63 characters")
	}
	add := r.boolean(m, at, "add")
	v.disable, v.primary = r.boolean(m, at, "disable"), r.boolean(m, at, "primary")
	r.values(&v.changes, m, at)
	if add != nil && *add {
		r.add(v, n, m, before)
		return
	}
	r.change(v, n, m, before)
}

// values reads the fields that give new values.
func (r *overridesReader) values(c *changes, m map[string]*yaml.Node, at string) {
	if c.kind = r.text(m, at, "type"); c.kind != "" && !endpoint.IsLabel(c.kind) {
		r.bad(m["type"], at+".type", "must be lower case letters, digits and '-', at most 63 characters, such as \"prometheus\"")
	}
	if s := r.text(m, at, "url"); s != "" {
		var problem string
		if c.url, problem = parseOverrideURL(s); problem != "" {
			r.bad(m["url"], at+".url", "%s", problem)
		}
	}
	if n := m["path"]; n != nil {
		s := ""
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Value != "" { // an empty string removes the path
			s = r.text(m, at, "path")
		}
		trimmed := strings.TrimRight(s, "/")
		if problem := endpoint.PathProblem(trimmed); trimmed != "" && problem != "" {
			r.bad(n, at+".path", "%s", problem)
		}
		c.path = &trimmed
	}
	if c.health = r.text(m, at, "health"); strings.HasPrefix(c.health, "/") {
		if problem := endpoint.PathProblem(c.health); problem != "" {
			r.bad(m["health"], at+".health", "%s", problem)
		}
	} else if c.health != "" {
		url, problem := endpoint.Parse(c.health)
		if problem != "" {
			r.bad(m["health"], at+".health", "%s; or write a path that starts with /, such as /health", problem)
		}
		c.health = url
	}
	c.description = r.text(m, at, "description")
	if len(c.description) > maxDescription {
		r.bad(m["description"], at+".description", "has %d bytes; at most %d are accepted", len(c.description), maxDescription)
	}
}

// add handles an entry that adds a toolset.
func (r *overridesReader) add(v *override, n *yaml.Node, m map[string]*yaml.Node, before int) {
	for _, field := range []string{"namespace", "type", "url"} {
		if m[field] == nil {
			r.bad(n, v.at()+"."+field, "is missing, which an added toolset must have")
		}
	}
	if v.disable != nil {
		r.bad(m["disable"], v.at()+".disable", "makes no sense with add; remove the entry instead")
	}
	key := service.Key{Namespace: v.namespace, Name: v.name}
	if first, ok := r.added[key]; ok && v.name != "" {
		r.bad(n, v.at()+".name", "is added by %s as well; names are unique in a namespace", first)
	}
	r.added[key] = v.at()
	if len(r.found) > before {
		return
	}
	r.o.added = append(r.o.added, v.backend(v.namespace, v.name, v.primary != nil && *v.primary))
}

// change handles an entry that changes a discovered back end.
func (r *overridesReader) change(v *override, n *yaml.Node, m map[string]*yaml.Node, before int) {
	at := v.at()
	if len(m) == 1 && m["name"] != nil || len(m) == 2 && m["name"] != nil && m["namespace"] != nil {
		r.bad(n, at, `changes nothing; add "disable: true", or what is to be changed: %s`, strings.Join(overrideFields[4:], ", "))
	}
	if (m["url"] != nil || m["health"] != nil) && m["namespace"] == nil {
		r.bad(n, at+".namespace", "is missing, without which all of this name, in any namespace, would get one address; to add a toolset, write add: true")
	}
	key := v.namespace + "/" + v.name
	if first, ok := r.seen[key]; ok && v.name != "" {
		r.bad(n, at+".name", "is changed by %s as well; put both into one entry", first)
	}
	r.seen[key] = at
	if len(r.found) == before {
		r.o.byName[v.name] = append(r.o.byName[v.name], v)
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

// mapping returns the values of a mapping by field; nil if n is not a mapping.
func (r *overridesReader) mapping(n *yaml.Node, at string, fields []string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.bad(n, at, "must be a mapping with fields of %s, not %s", strings.Join(fields, ", "), describeNode(n))
		return nil
	}
	m := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		field := strings.TrimPrefix(at+"."+service.FieldName(k.Value), ".")
		switch {
		case k.Kind == yaml.ScalarNode && m[k.Value] != nil:
			r.bad(k, field, "is given twice (first in line %d); keep one", m[k.Value].Line)
		case k.Kind == yaml.ScalarNode && slices.Contains(fields, k.Value):
			m[k.Value] = v
		default:
			r.bad(k, field, "is unknown%s", unknown(k.Value, fields))
		}
	}
	return m
}

func unknown(name string, fields []string) string {
	if nearest := suggest.Of(name, fields); nearest != "" {
		return "; did you mean " + nearest + "?"
	}
	return "; the fields are " + strings.Join(fields, ", ")
}

// text returns the value of a string field; empty if it is missing or wrong.
func (r *overridesReader) text(m map[string]*yaml.Node, at, field string) string {
	n := m[field]
	switch {
	case n == nil:
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		r.bad(n, at+"."+field, "must be a text, not %s; put it in quotes if it is meant as one", describeNode(n))
	case strings.TrimSpace(n.Value) == "":
		r.bad(n, at+"."+field, "must not be empty; leave the field out instead")
	case strings.ContainsFunc(n.Value, invisible):
		r.bad(n, at+"."+field, "must be one line, without control characters")
	default:
		return n.Value
	}
	return ""
}

// invisible reports whether c is a control character, a line separator, a mark of direction
// or a noncharacter, some of which YAML does not allow.
func invisible(c rune) bool {
	return unicode.IsControl(c) || unicode.In(c, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
}

// boolean returns the value of a boolean field; nil if it is missing or wrong.
func (r *overridesReader) boolean(m map[string]*yaml.Node, at, field string) *bool {
	n := m[field]
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool":
		r.bad(n, at+"."+field, "must be true or false, not %s", describeNode(n))
		return nil
	}
	value := strings.EqualFold(n.Value, "true")
	return &value
}

// describeNode describes the value of a node for a message.
func describeNode(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias (*" + service.FieldName(n.Value) + "); write the value out, aliases are not accepted"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%q", service.FieldName(n.Value))
}
