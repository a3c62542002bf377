package page

import (
	"cmp"
	"maps"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// An overview has the numbers of a whole snapshot. It is kept with the snapshot, since many
// may look at the same one.
type overview struct {
	of         *snapshot.Snapshot
	total      int
	disabled   int
	verdicts   map[string]int
	healths    map[string]int
	types      []*typeCount // the largest first
	namespaces []string     // in the order of their names
}

type typeCount struct {
	name     string
	total    int
	verdicts map[string]int
	healths  map[string]int
}

// maxChoices bounds how many types and namespaces the page offers; others can be typed.
const maxChoices = 500

// overviewOf returns the overview of a snapshot.
func (p *Page) overviewOf(s *snapshot.Snapshot) *overview {
	if o := p.overview.Load(); o != nil && o.of == s {
		return o
	}
	o := &overview{of: s, verdicts: map[string]int{}, healths: map[string]int{}}
	types := map[string]*typeCount{}
	for i := range s.Items() {
		b, verdict, health := i.Backend(), p.verdictOf(i), healthOf(i)
		kind := b.Type
		if len(kind) > maxValue { // no query may ask for it
			kind = kind[:maxValue]
		}
		t := types[kind]
		if t == nil {
			t = &typeCount{name: kind, verdicts: map[string]int{}, healths: map[string]int{}}
			types[kind] = t
		}
		t.total++
		t.verdicts[verdict]++
		t.healths[health]++
		o.total++
		o.verdicts[verdict]++
		o.healths[health]++
		if !b.Enabled {
			o.disabled++
		}
		if n := len(o.namespaces); n < maxChoices && (n == 0 || o.namespaces[n-1] != b.Key.Namespace) {
			o.namespaces = append(o.namespaces, b.Key.Namespace)
		}
	}
	o.types = slices.SortedFunc(maps.Values(types), func(a, b *typeCount) int {
		return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.name, b.name))
	})
	p.overview.Store(o)
	return o
}

func (p *Page) verdictOf(i snapshot.Item) string {
	id := p.identityOf(i)
	return verdictOf(&id)
}

// verdictOf returns the verdict that the page shows of what a back end has said itself.
func verdictOf(id *service.Identity) string {
	if id.Verdict == "" || id.NotAsked {
		return Unasked
	}
	return string(id.Verdict)
}
