package snapshot

import (
	"slices"

	"kubernaut.io/dynamic-toolset/internal/suggest"
	"kubernaut.io/dynamic-toolset/service"
)

// A Match is the outcome of a lookup by name.
type Match int

// The outcomes.
const (
	Unknown   Match = iota // no toolset has the name or type
	Found                  // exactly one
	Ambiguous              // several have it; the request must name the namespace
)

// Lookup finds one toolset: by its name; else the primary of the type called name; else by
// the name of a Service that is an alias of it. An empty namespace means any. It allocates
// nothing.
//
// Of several toolsets with the name, one is found if the name is also their type and it
// alone is marked as primary; else the lookup is ambiguous. An administrator's choice of
// the primary of a type comes before toolsets that are called like the type, since whoever
// may create a Service could call it so. A disabled toolset is found only if no enabled one
// has the name or type.
func (s *Snapshot) Lookup(name, namespace []byte) (*Body, Match) {
	a, m := s.lookup(name, namespace)
	return a.body, m
}

// An answer is what a lookup finds.
type answer struct {
	of   *rendered
	body *Body
	tail []byte // what body has in addition to of.single, a typedTail; nil for nothing
}

func (s *Snapshot) lookup(name, namespace []byte) (answer, Match) {
	if len(name) == 0 {
		return answer{}, Unknown
	}
	n, t := s.names.find(namespace, name), s.types.find(namespace, name)
	typeOn := t != nil && (*t).primary.isEnabled()
	switch {
	case typeOn && (*t).isPinned():
		return (*t).answer(), Found
	case n != nil && n.enabled.n > 0:
		if typeOn && n.found != nil {
			// A client that asks for grafana may mean any Grafana, so the answer names the
			// others.
			if a, is := (*t).answerOf(n.found); is {
				return a, Found
			}
		}
		return n.found.match()
	case typeOn:
		return (*t).answer(), Found
	case n != nil && n.all.n > 0:
		return n.found.match()
	case t != nil:
		return (*t).answer(), Found
	case n != nil:
		return n.alias.match()
	}
	return answer{}, Unknown
}

// Primary returns the primary of a type in a namespace, or in all if namespace is empty; ok
// is false if there is no toolset of the type.
func (s *Snapshot) Primary(typ, namespace []byte) (primary service.Key, ok bool) {
	t := s.types.find(namespace, typ)
	if t == nil {
		return service.Key{}, false
	}
	return (*t).primary.key(), true
}

// typesCompared bounds the work of TypeLike: clients can cause any number of calls, and
// annotations any number of types.
const typesCompared = 100

// TypeLike returns the type whose name is most like name; empty if none is.
func (s *Snapshot) TypeLike(name string) string {
	types := make([]string, 0, min(len(s.counts), typesCompared))
	for t, n := range s.counts {
		if len(types) == typesCompared {
			break
		}
		if n > 0 {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return suggest.Of(name, types)
}

// match returns the outcome of a lookup that found r; nil for several.
func (r *rendered) match() (answer, Match) {
	if r == nil {
		return answer{}, Ambiguous
	}
	return answer{of: r, body: &r.single}, Found
}

// Candidates returns the toolsets that made a lookup ambiguous, at most limit.
func (s *Snapshot) Candidates(name, namespace []byte, limit int) []service.Key {
	n := s.names.find(namespace, name)
	if len(name) == 0 || n == nil {
		return nil
	}
	f := Filter{Namespace: namespace}
	if n.enabled.n > 0 {
		f.Enabled = Yes
	}
	var keys []service.Key
	for p := range f.chosen(s.toolsets.list) {
		is := p.key.Name == string(name)
		if n.all.n == 0 {
			is = slices.ContainsFunc(p.of.aliases, func(k service.Key) bool { return k.Name == string(name) })
		}
		if !is {
			continue
		}
		if len(keys) == limit {
			break
		}
		keys = append(keys, p.key)
	}
	return keys
}
