package snapshot

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
)

// This file is for agents' tools, which show a few toolsets in another form than the API
// does. They start from the same lookups and filters.

// A Chosen is a toolset that was looked up, with what is to be said about the choice.
type Chosen struct {
	Item
	// Reason says why it is the primary of its type, and Alternatives are others of the
	// type; empty for a lookup by a name that is no type.
	Reason       string
	Alternatives []string // as namespace/name
	Omitted      int      // alternatives that are left out
}

// Choose finds what Lookup finds.
func (s *Snapshot) Choose(name, namespace []byte) (Chosen, Match) {
	a, m := s.lookup(name, namespace)
	if m != Found {
		return Chosen{}, m
	}
	return a.chosen(), Found
}

func (a answer) chosen() Chosen {
	var t typedTail
	if a.tail != nil {
		if err := json.Unmarshal(a.tail, &t); err != nil { // it is what was marshalled
			panic(err)
		}
	}
	return Chosen{Item{a.of}, t.PrimaryReason, t.Alternatives, t.Omitted}
}

// Select yields the toolsets that f selects after f.After, whatever its Limit, in the order
// of namespace and name.
func (s *Snapshot) Select(f *Filter) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, c := range s.toolsets.list.chunks {
			if f.judge(c) == admitsNone || !f.After.before(c.last()) {
				continue
			}
			for i, p := range c.parts {
				if f.admits(c, i) && f.After.before(p.key) && !yield(Item{p.of}) {
					return
				}
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
		chosen[i] = a.chosen()
	}
	return chosen
}

// Down reports whether all remembered health checks have failed.
func (i Item) Down() bool { return i.of.order.down }

// Health returns what the answer to a lookup says of the last health check: a sentence, and
// its time; an empty one if there was none.
func (i Item) Health() (reason, at string) {
	var t struct {
		HealthReason    string
		LastHealthCheck string
	}
	if err := json.Unmarshal(i.of.single.JSON, &t); err != nil { // the snapshot has rendered it
		panic(err)
	}
	return t.HealthReason, t.LastHealthCheck
}
