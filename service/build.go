package service

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"
)

// equal reports whether two backends are the same in everything that shows.
func (b *Backend) equal(o *Backend) bool {
	return b.Key == o.Key && b.Name == o.Name && b.Type == o.Type && b.Enabled == o.Enabled && b.Primary == o.Primary && b.Pinned == o.Pinned &&
		b.Endpoint == o.Endpoint && b.APIPath == o.APIPath && b.Description == o.Description &&
		!b.Probe.differs(o.Probe) && b.UserEndpoint == o.UserEndpoint && slices.Equal(b.Evidence, o.Evidence) &&
		maps.Equal(b.Labels, o.Labels) && maps.Equal(b.Annotations, o.Annotations)
}

func (p Probe) differs(o Probe) bool {
	return p.Kind != o.Kind || p.URL != o.URL || p.Address != o.Address || !slices.Equal(p.AcceptStatus, o.AcceptStatus)
}

// Build makes the current state the current snapshot, now. Run calls it; a
// caller who must see its own change at once may call it too.
func (c *Catalogue) Build() {
	c.building.Lock()
	defer c.building.Unlock()

	c.mu.Lock()
	if !c.synced {
		c.mu.Unlock()
		return
	}
	if c.sorted == nil {
		c.sort()
	}
	records := c.sorted
	c.minor = false
	discovery, version := c.discovery, c.version
	// What must be rendered is copied out, so that rendering needs no lock.
	type job struct {
		r          *record
		backend    *Backend
		name       string
		health     Health
		discovered time.Time
		out        *rendered
	}
	names := c.names(records)
	all := make([]*rendered, len(records))
	var jobs []job
	var at []int
	for i, r := range records {
		if r.rendered != nil && r.rendered.name == names[i] {
			all[i] = r.rendered
			continue
		}
		jobs = append(jobs, job{r: r, backend: r.backend, name: names[i], health: r.health, discovered: r.discovered})
		at = append(at, i)
	}
	c.mu.Unlock()

	for n := range jobs {
		j := &jobs[n]
		j.out = render(j.backend, j.name, &j.health, j.discovered)
		all[at[n]] = j.out
	}
	c.mu.Lock()
	for n := range jobs {
		// Unless it changed again meanwhile: then there is a token in wake.
		if j := &jobs[n]; j.r.backend == j.backend && j.r.health.CheckedAt.Equal(j.health.CheckedAt) {
			j.r.rendered = j.out
		}
	}
	c.mu.Unlock()

	c.publish(all, discovery, version)
}

func (c *Catalogue) sort() {
	c.sorted = slices.SortedFunc(maps.Values(c.records), func(a, b *record) int {
		return cmp.Or(cmp.Compare(a.backend.Key.Namespace, b.backend.Key.Namespace),
			cmp.Compare(a.backend.Key.Name, b.backend.Key.Name))
	})
}

func (c *Catalogue) names(records []*record) []string {
	backends := make([]*Backend, len(records))
	for i, r := range records {
		backends[i] = r.backend
	}
	return assignNames(backends)
}

// publish swaps in the snapshot of all, which is in the order of the Services.
func (c *Catalogue) publish(all []*rendered, discovery time.Time, version string) {
	old := c.current.Load()
	s := &Snapshot{
		BuiltAt: time.Now(), ConfigMapVersion: version, instance: c.instance, documents: &c.documents,
		byName: make(map[string][]*rendered, len(all)), byType: map[string][]*rendered{}, counts: map[string]int{},
		superseded: make(chan struct{}),
	}
	tail := marshal(struct {
		LastDiscovery    string `json:"lastDiscovery"`
		ConfigMapVersion string `json:"configMapVersion"`
	}{FormatTime(discovery), version})
	tail[0] = ',' // in place of the brace

	services := make([]*part, len(all))
	for i, r := range all {
		services[i] = &r.service
	}
	s.services = newCollection("services", services, tail)

	s.all = slices.SortedFunc(slices.Values(all), func(a, b *rendered) int {
		return cmp.Or(cmp.Compare(a.toolset.namespace, b.toolset.namespace), cmp.Compare(a.name, b.name))
	})
	toolsets := make([]*part, len(all))
	for i, r := range s.all {
		toolsets[i] = &r.toolset
		s.byName[r.name] = append(s.byName[r.name], r)
		s.byType[r.toolset.kind] = append(s.byType[r.toolset.kind], r)
		s.counts[r.toolset.kind]++
	}
	s.toolsets = newCollection("toolsets", toolsets, tail)
	s.document = document(s.all)

	if old != nil {
		for kind := range old.counts {
			s.counts[kind] += 0
		}
		s.changes, s.sequence = old.changes, old.sequence
		if changes := difference(old.all, s.all); len(changes) > 0 {
			kept := append(slices.Clone(old.changes), changes...)
			s.changes = kept[max(0, len(kept)-changesKept):]
			s.sequence += uint64(len(changes))
		}
	}
	c.current.Store(s)
	if old != nil {
		close(old.superseded)
	}
}

// difference lists what changed between two states in the order of namespace
// and name.
func difference(old, now []*rendered) []Change {
	var changes []Change
	tell := func(kind string, r *rendered) {
		data := append([]byte(`{"change":"`+kind+`","toolset":`), r.toolset.json[1:]...)
		changes = append(changes, Change{kind, append(data, '}')})
	}
	for len(old) > 0 || len(now) > 0 {
		switch order := compareHeads(old, now); {
		case order < 0:
			tell("removed", old[0])
			old = old[1:]
		case order > 0:
			tell("added", now[0])
			now = now[1:]
		default:
			if old[0] != now[0] && !bytes.Equal(old[0].core, now[0].core) {
				tell("updated", now[0])
			}
			old, now = old[1:], now[1:]
		}
	}
	return changes
}

// compareHeads says which list's first member comes first; an empty list's
// comes last.
func compareHeads(a, b []*rendered) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return cmp.Or(cmp.Compare(a[0].toolset.namespace, b[0].toolset.namespace), cmp.Compare(a[0].name, b[0].name))
}
