package snapshot

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/internal/parallel"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/aliases"
)

// A Builder makes snapshots, each from the one before and from what is different. It is
// used by one goroutine at a time.
//
// The cost of a change does not depend on the size of the cluster: the toolset is rendered,
// the chunks of the lists that it is in are built and compressed again, and all else is
// shared with the snapshot before.
type Builder struct {
	instance string                  // random, part of the identifiers of events
	members  map[service.Key]*member // by the key of their back end
	numbers  map[uint64]*member      // by their number
	last     uint64                  // the last number given
	namers   map[string]*namer       // by namespace; most namespaces need none
	counts   map[string]int          // type -> number of members; shared with snapshots
	groups   map[groupKey]group
	ranking  rankings
	primary  map[string]uint64 // type -> number of the member that is its primary
}

// A member is a back end that snapshots show.
type member struct {
	key      service.Key
	number   uint64
	name     string    // of the toolset
	rendered *rendered // the last rendering; nil if there is none yet
	tool     *part     // the last entry in the generated document; nil if it has none
	gone     bool
	State

	entry   *aliases.Entry // nil if it can't have or be an alias
	of      *member        // the toolset that it is an alias of; nil if it is none
	aliases []*member      // in the order of their keys
}

// A State is what is known about a back end.
type State struct {
	Backend    *service.Backend
	Added      bool // by overrides: there is no such Service
	Discovered time.Time
	Health     service.Health
	Identity   service.Identity // without a Verdict if back ends are not asked
}

// An Update is the new State of a back end. A nil Backend means that it is gone.
type Update struct {
	Key service.Key
	State
}

// NewBuilder returns a builder without back ends.
func NewBuilder() *Builder {
	id := make([]byte, 6)
	rand.Read(id) // never fails (crypto/rand)
	return &Builder{
		instance: hex.EncodeToString(id),
		members:  map[service.Key]*member{}, numbers: map[uint64]*member{}, namers: map[string]*namer{}, counts: map[string]int{},
		groups: map[groupKey]group{}, ranking: rankings{}, primary: map[string]uint64{},
	}
}

// A delta collects what is different in the next snapshot.
type delta struct {
	members []*member         // to be rendered, or gone
	known   map[*member]bool  // those in members
	naming  map[string]bool   // namespaces whose names may have to change
	groups  map[groupKey]bool // groups whose aliases may be different
}

func (d *delta) touch(m *member) {
	if !d.known[m] {
		d.known[m] = true
		d.members = append(d.members, m)
	}
}

// Next returns the snapshot that follows old, which must be the result of the last call;
// nil for the first. discovery is when the cluster was last read. The lists show it and
// configMapVersion.
func (a *Builder) Next(old *Snapshot, updates []Update, discovery time.Time, configMapVersion string) *Snapshot {
	// In a fixed order, since earlier members get their names first: see namer.
	slices.SortFunc(updates, func(a, b Update) int { return a.Key.Compare(b.Key) })
	d := &delta{known: make(map[*member]bool, len(updates)), naming: map[string]bool{}, groups: map[groupKey]bool{}}
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
			for _, alias := range m.aliases { // their renderings name m
				d.touch(alias)
			}
		}
	}
	rendered := make([]*rendered, len(d.members)) // of d.members; nil for those that are gone
	parallel.For(len(d.members), func(i int) {
		if m := d.members[i]; !m.gone {
			rendered[i] = render(m)
		}
	})
	s := &Snapshot{ConfigMapVersion: configMapVersion, discovery: discovery, instance: a.instance, superseded: make(chan struct{})}
	a.assemble(s, old, d.members, rendered)
	s.BuiltAt = time.Now()
	return s
}

// take applies an update to the members.
func (a *Builder) take(u *Update, d *delta) {
	m := a.members[u.Key]
	if m == nil {
		if u.Backend == nil {
			return // it came and went since the last snapshot
		}
		a.last++
		m = &member{key: u.Key, number: a.last, State: u.State}
		a.members[m.key], a.numbers[m.number] = m, m
		m.name = m.Backend.Name
		a.enter(m, d)
		a.group(m, d)
		d.touch(m)
		return
	}
	d.touch(m)
	regroup := u.Backend == nil || !aliases.Same(m.Backend, u.Backend)
	if regroup {
		a.ungroup(m, d)
	}
	switch {
	case u.Backend == nil:
		a.leave(m, d)
		m.gone = true
		delete(a.members, m.key)
	case u.Backend.Name != m.Backend.Name:
		a.leave(m, d)
		m.State = u.State
		m.name = m.Backend.Name
		a.enter(m, d)
	default:
		m.State = u.State
	}
	if regroup && !m.gone {
		a.group(m, d)
	}
}

// enter and leave tell the namespace's namer about a member.
func (a *Builder) enter(m *member, d *delta) {
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

func (a *Builder) leave(m *member, d *delta) {
	if n := a.namers[m.key.Namespace]; n != nil && n.cares(m) {
		n.leave(m)
		d.naming[m.key.Namespace] = true
	}
}

// rename gives the members of a namespace the names that they should have.
func (a *Builder) rename(namespace string, d *delta) {
	n := a.namers[namespace]
	n.assign(func(name string) *member { return a.members[service.Key{Namespace: namespace, Name: name}] },
		func(m *member, name string) {
			m.name = name
			d.touch(m)
		})
	if n.empty() {
		delete(a.namers, namespace)
	}
}

// assemble fills s from old, in which the renderings of the members in changed become those
// in now.
func (a *Builder) assemble(s, old *Snapshot, changed []*member, now []*rendered) {
	if old == nil {
		old = emptySnapshot
	}
	toolsets, services, entries := newEdit(len(now)), newEdit(len(now)), newEdit(len(now))
	names, ranks := &namesEdit{editTable(old.names), map[service.Key]struct{}{}}, rankingEdits{}
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
		// The toolset that the name of a type finds may be another one now, although none
		// of the type has changed.
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
	parallel.For(len(fresh), func(i int) { fresh[i].finish() })

	s.collect(toolsetList, serviceList)
	s.document = newDocument(entryList)
	if old != emptySnapshot {
		s.tell(old, changes, toolsets.before)
	}
}

// enterDocument collects the changes in the generated document: the members that have
// changed, and those that became the primary of their type or no longer are.
func (a *Builder) enterDocument(e *edit, changed []*member, primaries map[string]*rendered) {
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
		e.take(m.tool)
	}
	for _, m := range changed {
		if m.tool = m.rendered.entry(m.rendered != nil && a.primary[m.rendered.backend.Type] == m.number, m.tool); m.tool != nil {
			e.put(m.tool)
		}
	}
}

// An edit collects the changes of a list.
type edit struct {
	before, after map[service.Key]*part
}

func newEdit(size int) *edit {
	return &edit{before: make(map[service.Key]*part, size), after: make(map[service.Key]*part, size)}
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

// changes returns the changes in the order of their keys.
func (e *edit) changes() []listChange {
	changes := make([]listChange, 0, len(e.after))
	for k, p := range e.after {
		if e.before[k] != p {
			changes = append(changes, listChange{k, p})
		}
	}
	slices.SortFunc(changes, func(a, b listChange) int { return a.key.Compare(b.key) })
	return changes
}
