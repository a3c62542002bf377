package snapshot

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/jsonobject"
	"kubernaut.io/dynamic-toolset/service"
)

// This file is for agents' tools, which show a few toolsets in another form than the API
// does. They start from the same lookups and filters.

// A Chosen is a toolset that was looked up, with what is to be said about the choice.
type Chosen struct {
	Item
	tail []byte // a typedTail, or nil
}

// Choose finds what Lookup finds.
func (s *Snapshot) Choose(name, namespace []byte) (Chosen, Match) {
	a, m := s.lookup(name, namespace)
	return Chosen{Item{a.of}, a.tail}, m
}

// Reason says why it is the primary of its type; empty for a lookup by a name that is no
// type.
func (c Chosen) Reason() string { return textOf(c.tail, "primaryReason") }

// Alternatives returns others of c's type, and how many are left out; none for a lookup by a
// name that is no type.
func (s *Snapshot) Alternatives(c *Chosen, most int) (others []Item, omitted int) {
	for member, value := range jsonobject.Members(c.tail) {
		switch string(member) {
		case "alternatives":
			for e := range jsonobject.Elements(value) {
				if len(others) == most {
					omitted++
					continue
				}
				key, _ := jsonobject.Text(e)
				namespace, name, _ := strings.Cut(key, "/")
				if n := s.names.find([]byte(namespace), []byte(name)); n != nil && n.found != nil {
					others = append(others, Item{n.found})
				}
			}
		case "alternativesOmitted":
			n, err := strconv.Atoi(string(value))
			if err != nil { // it is what was marshalled
				panic(err)
			}
			omitted += n
		}
	}
	return others, omitted
}

// textOf returns a member of a JSON object; empty if there is none, or null.
func textOf(doc []byte, name string) string {
	for member, value := range jsonobject.Members(doc) {
		if string(member) == name {
			text, _ := jsonobject.Text(value)
			return text
		}
	}
	return ""
}

// Select yields the toolsets that f selects after f.After, whatever its Limit, in the order
// of namespace and name.
func (s *Snapshot) Select(f *Filter) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for p := range f.chosen(s.toolsets.list) {
			if !yield(Item{p.of}) {
				return
			}
		}
	}
}

// Count returns how many toolsets f selects, whatever its After and Limit.
func (s *Snapshot) Count(f *Filter) int { return s.toolsets.choose(f).total }

// TokenAfter returns the token of the position after the toolset with the key k; see
// [Position].
func TokenAfter(k service.Key) string { return string(appendPosition(nil, k)) }

// Primaries returns the primary of each of types, in a namespace, or in all if that is
// empty, without those that are disabled. The best comes first: what people, health checks
// and the back ends themselves say decides, then for whom it is there, then the order of
// types.
func (s *Snapshot) Primaries(types []string, namespace string) []Chosen {
	var found []answer
	for _, typ := range types {
		if t := s.types.find([]byte(namespace), []byte(typ)); t != nil && (*t).primary.isEnabled() {
			found = append(found, (*t).answer())
		}
	}
	slices.SortStableFunc(found, func(a, b answer) int {
		o, p := a.of.order, b.of.order
		o.rest, p.rest = "", ""
		return cmp.Or(o.compare(&p), cmp.Compare(a.of.backend.Standing.Scope, b.of.backend.Standing.Scope))
	})
	chosen := make([]Chosen, len(found))
	for i, a := range found {
		chosen[i] = Chosen{Item{a.of}, a.tail}
	}
	return chosen
}

// Down reports whether all remembered health checks have failed.
func (i Item) Down() bool { return i.of.order.down }

// Health returns what the answer to a lookup says of the last health check: a sentence, and
// its time; an empty one if there was none.
func (i Item) Health() (reason, at string) {
	doc := i.of.single.JSON
	return textOf(doc, "healthReason"), textOf(doc, "lastHealthCheck")
}
