package snapshot

import (
	"bytes"
	"slices"

	"kubernaut.io/dynamic-toolset/internal/parallel"
	"kubernaut.io/dynamic-toolset/service"
)

// maxAlternatives is the number of other toolsets that an answer with the primary names.
// The list of the type has all.
const maxAlternatives = 20

// A typed is the answer to a lookup by type: the primary, why it is that, and the
// alternatives. It never changes.
type typed struct {
	body    Body
	primary *rendered
	tail    []byte // what body has in addition to primary.single
	// namesake is the toolset that a lookup by the name of the type finds, if it is another
	// one than the primary because it is called like the type; else nil. Its answer names
	// the primary.
	namesake *namesake
}

type namesake struct {
	of   *rendered
	body Body
	tail []byte
}

// answer returns the answer to a lookup by the type.
func (t *typed) answer() answer { return answer{of: t.primary, body: &t.body, tail: t.tail} }

// answerOf returns the answer to a lookup by the name of the type that found r; is is false
// if it is the same as that to a lookup by any other name.
func (t *typed) answerOf(r *rendered) (a answer, is bool) {
	switch {
	case t.primary == r:
		return t.answer(), true
	case t.namesake != nil && t.namesake.of == r:
		return answer{of: r, body: &t.namesake.body, tail: t.namesake.tail}, true
	}
	return answer{}, false
}

// isPinned reports whether an administrator chose the primary.
func (t *typed) isPinned() bool { return t.primary.order.mark == markPinned }

// typedTail is what an answer to a lookup by type has in addition to the toolset.
type typedTail struct {
	PrimaryReason string   `json:"primaryReason"`
	Alternatives  []string `json:"alternatives"`
	// Omitted is the number of alternatives that are left out.
	Omitted int `json:"alternativesOmitted,omitempty"`
}

// tailOf renders the typedTail for the toolsets of a type, which are sorted; within means
// that they are those of one namespace.
func tailOf(all []*rendered, within bool) []byte {
	var second *rendered
	if len(all) > 1 {
		second = all[1]
	}
	// Disabled toolsets sort last, and are no alternatives to enabled ones.
	enabled, _ := slices.BinarySearchFunc(all, true, func(r *rendered, _ bool) int { return index01(!r.isEnabled())*2 - 1 })
	if enabled == 0 {
		enabled = len(all)
	}
	// If a better one is down or unproved, that says more than what comes next.
	best := all[0].order
	for _, worse := range []order{{unproved: true}, {down: true}, {down: true, unproved: true}} {
		worse.mark = best.mark
		// An empty rest finds the first of them.
		i, _ := slices.BinarySearchFunc(all, worse, func(r *rendered, o order) int { return r.order.compare(&o) })
		if i > 0 && i < len(all) && all[i].order.is(&worse) && all[i].order.rest < best.rest {
			best, second = all[i].order, all[i]
		}
	}
	t := typedTail{PrimaryReason: primaryReason(all[0], second, within), Alternatives: []string{}, Omitted: max(0, enabled-1-maxAlternatives)}
	for _, r := range all[1 : enabled-t.Omitted] {
		t.Alternatives = append(t.Alternatives, r.key().String())
	}
	return marshal(t)
}

func newTyped(primary *rendered, tail []byte, also *namesake) *typed {
	return &typed{body: withTail(primary, tail), primary: primary, tail: tail, namesake: also}
}

// withTail renders the toolset of r with the members of tail.
func withTail(r *rendered, tail []byte) Body {
	one := r.single.JSON
	json := make([]byte, 0, len(one)+len(tail))
	json = append(json, one[:len(one)-1]...)
	json = append(json, ',')
	json = append(json, tail[1:]...)
	return newBody(json)
}

// namesakeOf returns the namesake of a type for r. It reuses that of was, the typed of the
// snapshot before, which may be nil.
func namesakeOf(r *rendered, all []*rendered, was *typed) *namesake {
	t := typedTail{Alternatives: []string{},
		PrimaryReason: "it is called " + r.name + ", as its type is; the primary of the type is " + all[0].key().String()}
	for _, o := range all {
		switch {
		case o == r || !o.isEnabled():
		case len(t.Alternatives) == maxAlternatives:
			t.Omitted++
		default:
			t.Alternatives = append(t.Alternatives, o.key().String())
		}
	}
	tail := marshal(t)
	if was != nil && was.namesake != nil && was.namesake.of == r && bytes.Equal(was.namesake.tail, tail) {
		return was.namesake
	}
	return &namesake{of: r, body: withTail(r, tail), tail: tail}
}

// rankings are the toolsets of each type, sorted, in each namespace and, with an empty
// namespace, in all.
type rankings map[service.Key][]*rendered

// A rankingEdit is the difference in one ranking.
type rankingEdit struct{ out, in []*rendered }

// rankingEdits are the differences in rankings.
type rankingEdits map[service.Key]*rankingEdit

func (e rankingEdits) of(r *rendered, f func(*rankingEdit)) {
	for _, in := range [...]string{"", r.backend.Key.Namespace} {
		k := service.Key{Namespace: in, Name: r.backend.Type}
		if e[k] == nil {
			e[k] = &rankingEdit{}
		}
		f(e[k])
	}
}

func (e rankingEdits) take(r *rendered) {
	e.of(r, func(e *rankingEdit) { e.out = append(e.out, r) })
}

func (e rankingEdits) put(r *rendered) {
	e.of(r, func(e *rankingEdit) { e.in = append(e.in, r) })
}

// fewRanked is the number of changes up to which each is made by itself, moving all that
// comes after it.
const fewRanked = 32

// apply applies the changes to a ranking, and returns it.
func (e *rankingEdit) apply(all []*rendered) []*rendered {
	compare := (*rendered).compare
	if len(e.out)+len(e.in) <= fewRanked {
		for _, r := range e.out {
			if at, found := slices.BinarySearchFunc(all, r, compare); found {
				all = slices.Delete(all, at, at+1)
			}
		}
		for _, r := range e.in {
			at, _ := slices.BinarySearchFunc(all, r, compare)
			all = slices.Insert(all, at, r)
		}
		return all
	}
	gone := make(map[*rendered]bool, len(e.out))
	for _, r := range e.out {
		gone[r] = true
	}
	all = slices.DeleteFunc(all, func(r *rendered) bool { return gone[r] })
	all = append(all, e.in...)
	slices.SortFunc(all, compare)
	return all
}

// rank applies edits to the rankings. It returns the new table of types, which also depends
// on the names, and the primaries that the edited types have now in all namespaces; nil for
// a type that has no toolset any longer.
func (a *Builder) rank(old *table[*typed], edits rankingEdits, names *table[named]) (now *table[*typed], first map[string]*rendered) {
	type change struct {
		key  service.Key
		all  []*rendered
		was  *typed
		made *typed
	}
	changes := make([]change, 0, len(edits))
	first = map[string]*rendered{}
	for k, e := range edits {
		all := e.apply(a.ranking[k])
		if a.ranking[k] = all; len(all) == 0 {
			delete(a.ranking, k)
		}
		if k.Namespace == "" {
			first[k.Name] = nil
			if len(all) > 0 {
				first[k.Name] = all[0]
			}
		}
		c := change{key: k, all: all}
		if was := old.find([]byte(k.Namespace), []byte(k.Name)); was != nil {
			c.was = *was
		}
		changes = append(changes, c)
	}
	parallel.For(len(changes), func(i int) {
		c := &changes[i]
		if len(c.all) == 0 {
			return
		}
		tail := tailOf(c.all, c.key.Namespace != "")
		var also *namesake
		if n := names.find([]byte(c.key.Namespace), []byte(c.key.Name)); n != nil && n.enabled.n > 0 && n.found != nil &&
			n.found != c.all[0] && n.found.backend.Type == c.key.Name {
			also = namesakeOf(n.found, c.all, c.was)
		}
		if c.was != nil && c.was.primary == c.all[0] && bytes.Equal(c.was.tail, tail) && c.was.namesake == also {
			c.made = c.was
			return
		}
		c.made = newTyped(c.all[0], tail, also)
	})
	edit := editTable(old)
	for i := range changes {
		switch c := &changes[i]; {
		case c.made == nil:
			edit.remove(c.key)
		case c.made != c.was:
			*edit.at(c.key) = c.made
		}
	}
	return edit.now, first
}
