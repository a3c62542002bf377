package overrides

import (
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// A Match is an entry of the overrides that is about a back end.
type Match struct {
	// At is its place in the document, such as "toolsets[2]".
	At string
	// Changes are what it changes, as in the document, such as "disable: true".
	Changes []string
}

// Explain returns the overrides that match b, in the order in which they apply. b need not
// be in the cluster: it needs a Key and a Name only.
func (o *Set) Explain(b *service.Backend) []Match {
	if o == nil {
		return nil
	}
	var found []Match
	for _, v := range o.about(b) {
		found = append(found, Match{v.at(), v.fields()})
	}
	return found
}

// fields returns what the entry changes.
func (v *override) fields() (out []string) {
	add := func(field string, value any) { out = append(out, fmt.Sprintf("%s: %v", field, value)) }
	if v.disable != nil {
		add("disable", *v.disable)
	}
	if v.primary != nil {
		add("primary", *v.primary)
	}
	for _, f := range []struct{ field, value string }{{"description", v.description}, {"type", v.kind}, {"url", v.url}} {
		if f.value != "" {
			add(f.field, f.value)
		}
	}
	if v.path != nil {
		add("path", fmt.Sprintf("%q", *v.path))
	}
	if v.health != "" {
		add("health", v.health)
	}
	if v.connection != nil {
		add("connection", connectionFieldsOf(v.connection))
	}
	return out
}

// LeadingTo returns the toolsets that the overrides add and whose URL is that of a
// Service, whose name in the DNS is NAME.NAMESPACE and more.
func (o *Set) LeadingTo(svc service.Key) (added []service.Key) {
	if o == nil {
		return nil
	}
	for _, b := range o.added {
		host, _, _ := strings.Cut(afterScheme(b.Endpoint), "/")
		host, _, _ = strings.Cut(host, ":")
		if host == svc.Name+"."+svc.Namespace || strings.HasPrefix(host, svc.Name+"."+svc.Namespace+".svc") {
			added = append(added, b.Key)
		}
	}
	return added
}
