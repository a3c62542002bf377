// Package overrides reads and applies an administrator's corrections of what was
// discovered. They are in the ConfigMap of the documents, under [Key]; docs/outputs.md
// describes their form.
//
// They have the last word: they change what the rules and a Service's annotations say.
package overrides

import (
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// Key is the key of the overrides in the ConfigMap. The service reads its value and never
// writes it.
const Key = "overrides.yaml"

// A Set is the content of valid overrides: toolsets that are switched off, changed or
// added. It comes from Parse and never changes. A nil Set changes nothing.
type Set struct {
	byName map[string][]*override // in the order of the document
	added  []*service.Backend
}

// An override is an entry that changes a discovered back end.
type override struct {
	index           int    // in the document
	name, namespace string // namespace is empty for any
	disable         *bool
	primary         *bool
	changes
}

// changes are the values that an entry gives, to a discovered back end or an added one;
// empty for no change.
type changes struct {
	kind, url, description string
	path                   *string // of the API, below url; may be empty
	health                 string  // path or URL
	connection             *service.Connection
}

// Apply returns b with all overrides that match it, as a copy, or b itself if none does. Of
// several, later ones win.
func (o *Set) Apply(b *service.Backend) *service.Backend {
	if o == nil {
		return b
	}
	out := b
	for _, v := range o.about(b) {
		if out == b {
			c := *b
			c.Evidence = slices.Clone(b.Evidence)
			out = &c
		}
		v.apply(out)
	}
	return out
}

// About returns the places in the document of the overrides that match b, such as
// "toolsets[2]".
func (o *Set) About(b *service.Backend) []string {
	if o == nil {
		return nil
	}
	var at []string
	for _, v := range o.about(b) {
		at = append(at, v.at())
	}
	return at
}

// about returns the overrides that match b, by the name of its Service or of its toolset,
// in the order of the document.
func (o *Set) about(b *service.Backend) []*override {
	var found []*override
	for _, v := range o.byName[b.Key.Name] {
		if v.namespace == "" || v.namespace == b.Key.Namespace {
			found = append(found, v)
		}
	}
	if b.Name == b.Key.Name {
		return found
	}
	one := len(found)
	for _, v := range o.byName[b.Name] {
		if v.namespace == "" || v.namespace == b.Key.Namespace {
			found = append(found, v)
		}
	}
	if one > 0 && len(found) > one {
		slices.SortFunc(found, func(a, b *override) int { return a.index - b.index })
	}
	return found
}

// at returns the place of the entry in the document.
func (v *override) at() string { return fmt.Sprintf("toolsets[%d]", v.index) }

func (v *override) apply(b *service.Backend) {
	var what []string
	note := func(field string) { what = append(what, field) }
	if v.disable != nil {
		b.Enabled, b.Fixed.Enabled = !*v.disable, true
		note("disable")
	}
	if v.primary != nil {
		b.Primary, b.Pinned = *v.primary, *v.primary
		note("primary")
	}
	if v.description != "" {
		b.Description = v.description
		note("description")
	}
	if v.kind != "" {
		b.Type, b.Fixed.Type = v.kind, true
		note("type")
	}
	if v.url != "" {
		moveTo(b, v.url)
		b.Fixed.Endpoint = true
		note("url")
	}
	if v.path != nil {
		b.APIPath, b.Prefix, b.Fixed.Endpoint = *v.path, "", true
		note("path")
	}
	if v.health != "" {
		checkAt(b, v.health)
		note("health")
	}
	if v.connection != nil {
		b.Connection = b.Connection.With(v.connection)
		note("connection")
	}
	// A toolset that is only switched off takes its aliases with it.
	b.Declared = b.Declared || slices.ContainsFunc(what, func(field string) bool { return field != "disable" })
	b.Evidence = append(b.Evidence, Key+": "+strings.Join(what, ", "))
}

// moveTo gives b another endpoint. A health check below the old endpoint moves with it;
// otherwise, the new one is healthy if it accepts connections.
func moveTo(b *service.Backend, url string) {
	old := b.Endpoint + b.Prefix
	b.APIPath, b.Prefix = strings.TrimPrefix(b.APIPath, b.Prefix), ""
	// If the API is not at the root, the path in the URL is that of the API.
	if i := strings.IndexByte(afterScheme(url), '/'); i >= 0 && b.APIPath != "" {
		i += len(url) - len(afterScheme(url))
		url, b.APIPath = url[:i], url[i:]
	}
	b.Endpoint = url
	b.Pods = nil
	below, found := strings.CutPrefix(b.Probe.URL, old)
	if b.Probe.Kind == service.ProbeHTTP && found && strings.HasPrefix(url, "http") {
		b.Probe.URL = url + below
		return
	}
	b.Probe = service.Probe{Kind: service.ProbeTCP, Address: endpoint.Address(url)}
}

// checkAt makes the health check of b a GET of health, a URL or a path below the endpoint.
func checkAt(b *service.Backend, health string) {
	if strings.HasPrefix(health, "/") {
		base := b.Endpoint
		if !strings.HasPrefix(base, "http") { // it does not speak HTTP
			base = "http://" + afterScheme(base)
		}
		health = base + health
	}
	b.Probe = service.Probe{Kind: service.ProbeHTTP, URL: health, AcceptStatus: b.Probe.AcceptStatus}
}

func afterScheme(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

// Added returns the back ends that the overrides add.
func (o *Set) Added() []*service.Backend {
	if o == nil {
		return nil
	}
	return slices.Clone(o.added)
}

// Unmatched returns the overrides that match none of the discovered back ends, as they were
// before Apply, such as "toolsets[2] (monitoring/thanos)". They may be right: back ends
// come and go.
func (o *Set) Unmatched(discovered []*service.Backend) []string {
	if o == nil {
		return nil
	}
	matched := map[*override]bool{}
	for _, b := range discovered {
		for _, v := range o.about(b) {
			matched[v] = true
		}
	}
	var rest []*override
	for _, list := range o.byName {
		for _, v := range list {
			if !matched[v] {
				rest = append(rest, v)
			}
		}
	}
	slices.SortFunc(rest, func(a, b *override) int { return a.index - b.index })
	var out []string
	for _, v := range rest {
		name := v.name
		if v.namespace != "" {
			name = v.namespace + "/" + name
		}
		out = append(out, v.at()+" ("+name+")")
	}
	return out
}

// backend returns the back end that an entry adds. Of its standing nothing is known: neither
// that it is the cluster's, nor that it is in front of others.
func (c *changes) backend(namespace, name string, primary bool) *service.Backend {
	b := &service.Backend{
		Key: service.Key{Namespace: namespace, Name: name}, Name: name, Type: c.kind, Enabled: true, Primary: primary, Pinned: primary,
		Endpoint: c.url, Connection: c.connection, Description: c.description, Fixed: service.Fixed{Type: true, Endpoint: true},
		Probe:    service.Probe{Kind: service.ProbeTCP, Address: endpoint.Address(c.url)},
		Standing: service.Standing{Scope: service.ScopeUnknown, Role: service.RoleServer},
		Evidence: []string{Key + ": added"},
	}
	if c.path != nil {
		b.APIPath = *c.path
	}
	if b.Description == "" {
		b.Description = "A back end of type " + c.kind + " that an administrator added."
	}
	if c.health != "" {
		checkAt(b, c.health)
	}
	return b
}
