package service

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An assembly makes snapshots one after another, each from the one before and
// from what is different. It is used by one goroutine at a time.
type assembly struct {
	members map[Key]*member    // by the key of their backend
	numbers map[uint64]*member // by their number
	last    uint64             // number given
	namers  map[string]*namer  // by namespace; most namespaces need none
	counts  map[string]int     // type -> number of members; shared with snapshots
	groups  map[podsKey]podsGroup
	ranking rankings
	primary map[string]uint64 // type -> number of the member that is the first of it
}

// A member is a backend that snapshots show.
type member struct {
	key      Key
	number   uint64
	name     string    // of the toolset
	rendered *rendered // as the last snapshot has it; nil before the first
	entry    *part     // in the generated document, likewise; nil if it has none
	gone     bool
	state

	selector *selector // nil if it is alone in any case
	of       *member   // what it is an alias of; nil if it is none
	aliases  []*member // in the order of their keys
}

// A state is what is known of a backend.
type state struct {
	backend    *Backend
	added      bool // by an administrator's overrides: there is no such Service
	discovered time.Time
	health     Health
}

// An update is a new state; with a nil backend, there is none any longer.
type update struct {
	key Key
	state
}

func newAssembly() *assembly {
	return &assembly{
		members: map[Key]*member{}, numbers: map[uint64]*member{}, namers: map[string]*namer{}, counts: map[string]int{},
		groups: map[podsKey]podsGroup{}, ranking: rankings{}, primary: map[string]uint64{},
	}
}

// A delta is what is different in the next snapshot.
type delta struct {
	members []*member        // that must be rendered, or are gone
	known   map[*member]bool // those in members
	naming  map[string]bool  // namespaces whose names may be different
	groups  map[podsKey]bool // in which aliases may be different
}

func (d *delta) touch(m *member) {
	if !d.known[m] {
		d.known[m] = true
		d.members = append(d.members, m)
	}
}

// next makes s, which has what is no matter of the backends, the snapshot after
// old, which may be nil.
func (a *assembly) next(s, old *Snapshot, updates []update, discovery time.Time) {
	d := &delta{known: make(map[*member]bool, len(updates)), naming: map[string]bool{}, groups: map[podsKey]bool{}}
	for i := range updates {
		a.take(&updates[i], d)
	}
	for key := range d.groups {
		a.fold(key, d)
	}
	for namespace := range d.naming {
		a.rename(namespace, d)
	}
	for _, m := range d.members[:len(d.members):len(d.members)] {
		if m.rendered != nil && m.rendered.name != m.name {
			for _, alias := range m.aliases { // they say what they are aliases of
				d.touch(alias)
			}
		}
	}
	rendered := make([]*rendered, len(d.members)) // as they are now; nil: gone
	each(len(d.members), func(i int) {
		if m := d.members[i]; !m.gone {
			rendered[i] = render(m)
		}
	})
	a.assemble(s, old, d.members, rendered, discovery)
}

// take takes an update over.
func (a *assembly) take(u *update, d *delta) {
	m := a.members[u.key]
	if m == nil {
		if u.backend == nil {
			return // it came and went between two snapshots
		}
		a.last++
		m = &member{key: u.key, number: a.last, state: u.state}
		a.members[m.key], a.numbers[m.number] = m, m
		m.name = m.backend.Name
		a.enter(m, d)
		a.group(m, d)
		d.touch(m)
		return
	}
	d.touch(m)
	regroup := u.backend == nil || !sameForFolding(m.backend, u.backend)
	if regroup {
		a.ungroup(m, d)
	}
	switch {
	case u.backend == nil:
		a.leave(m, d)
		m.gone = true
		delete(a.members, m.key)
	case u.backend.Name != m.backend.Name:
		a.leave(m, d)
		m.state = u.state
		m.name = m.backend.Name
		a.enter(m, d)
	default:
		m.state = u.state
	}
	if regroup && !m.gone {
		a.group(m, d)
	}
}

// enter and leave keep the namespace's namer up to date.
func (a *assembly) enter(m *member, d *delta) {
	n := a.namers[m.key.Namespace]
	if n == nil {
		n = &namer{}
	}
	if !n.cares(m) {
		return
	}
	a.namers[m.key.Namespace] = n
	n.enter(m)
	d.naming[m.key.Namespace] = true
}

func (a *assembly) leave(m *member, d *delta) {
	if n := a.namers[m.key.Namespace]; n != nil && n.cares(m) {
		n.leave(m)
		d.naming[m.key.Namespace] = true
	}
}

// rename gives the members of a namespace the names they should have.
func (a *assembly) rename(namespace string, d *delta) {
	n := a.namers[namespace]
	n.assign(func(service string) *member { return a.members[Key{namespace, service}] },
		func(m *member, name string) {
			m.name = name
			d.touch(m)
		})
	if n.empty() {
		delete(a.namers, namespace)
	}
}

// assemble makes the snapshot, in which changed have become now.
func (a *assembly) assemble(s, old *Snapshot, changed []*member, now []*rendered, discovery time.Time) {
	if old == nil {
		old = emptySnapshot
	}
	toolsets, services, entries := newEdit(len(now)), newEdit(len(now)), newEdit(len(now))
	names, ranks := &namesEdit{editTable(old.names), map[Key]struct{}{}}, rankingEdits{}
	counts := maps.Clone(a.counts)
	for i, m := range changed {
		if r := m.rendered; r != nil {
			services.take(r.service)
			counts[r.backend.Type]--
			if r.toolset != nil {
				toolsets.take(r.toolset)
				names.add(m.number, r, -1)
				ranks.take(r)
			}
		}
		if now[i] == nil {
			delete(a.numbers, m.number)
		}
	}
	for i, m := range changed {
		m.rendered = now[i]
		if r := now[i]; r != nil {
			services.put(r.service)
			counts[r.backend.Type]++
			if r.toolset != nil {
				toolsets.put(r.toolset)
				names.add(m.number, r, 1)
				ranks.put(r)
			}
		}
	}
	a.counts = counts
	s.names, s.counts = names.finish(func(number uint64) *rendered { return a.numbers[number].rendered }), counts
	for k := range names.touched {
		// Whom a type's name finds first may be another one, although none of the type is.
		if len(a.ranking[k]) > 0 && ranks[k] == nil {
			ranks[k] = &rankingEdit{}
		}
	}
	var primaries map[string]*rendered
	s.types, primaries = a.rank(old.types, ranks, s.names)
	a.enterDocument(entries, changed, primaries)

	changes := toolsets.changes()
	toolsetList, fresh := old.toolsets.list.apply(changes)
	serviceList, more := old.services.list.apply(services.changes())
	fresh = append(fresh, more...)
	entryList, more := old.document.list.apply(entries.changes())
	fresh = append(fresh, more...)
	each(len(fresh), func(i int) { fresh[i].finish() })

	s.discovery = discovery
	s.collect(toolsetList, serviceList)
	s.document = newDocument(entryList)
	if old != emptySnapshot {
		s.tell(old, changes, toolsets.before)
	}
}

// enterDocument collects what is different in the generated document: what changed,
// and what became the first of its type, or is that no longer.
func (a *assembly) enterDocument(e *edit, changed []*member, primaries map[string]*rendered) {
	for kind, r := range primaries {
		was := a.numbers[a.primary[kind]]
		if r == nil {
			delete(a.primary, kind)
			continue
		}
		is := a.numbers[r.number]
		a.primary[kind] = r.number
		if was != is {
			changed = append(changed, is)
			if was != nil {
				changed = append(changed, was)
			}
		}
	}
	for _, m := range changed {
		e.take(m.entry)
	}
	for _, m := range changed {
		if m.entry = m.rendered.entry(m.rendered != nil && a.primary[m.rendered.backend.Type] == m.number, m.entry); m.entry != nil {
			e.put(m.entry)
		}
	}
}

// An edit collects what is different in a list.
type edit struct {
	before, after map[Key]*part
}

func newEdit(size int) *edit {
	return &edit{before: make(map[Key]*part, size), after: make(map[Key]*part, size)}
}

func (e *edit) take(p *part) {
	if p != nil {
		e.before[p.key] = p
		e.after[p.key] = nil
	}
}

func (e *edit) put(p *part) {
	if p != nil {
		e.after[p.key] = p
	}
}

// changes returns what is different in the order of the keys.
func (e *edit) changes() []listChange {
	changes := make([]listChange, 0, len(e.after))
	for k, p := range e.after {
		if e.before[k] != p {
			changes = append(changes, listChange{k, p})
		}
	}
	slices.SortFunc(changes, func(a, b listChange) int { return compareKeys(a.key, b.key) })
	return changes
}

// parallelFrom is from how many pieces of work on they are worth a goroutine.
const parallelFrom = 16

// each calls f for 0 to n-1, on all processors if n is large, and returns when
// all calls have.
func each(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/parallelFrom)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	working.Wait()
}
