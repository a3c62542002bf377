package service

import (
	"maps"
	"slices"
	"time"
)

// equal reports whether two backends are the same in everything that shows.
func (b *Backend) equal(o *Backend) bool {
	return b.Key == o.Key && b.Name == o.Name && b.Type == o.Type && b.Enabled == o.Enabled && b.Primary == o.Primary && b.Pinned == o.Pinned &&
		b.Endpoint == o.Endpoint && b.APIPath == o.APIPath && b.Description == o.Description &&
		!b.Probe.differs(o.Probe) && b.UserEndpoint == o.UserEndpoint && b.Declared == o.Declared && b.Pods.equal(o.Pods) &&
		b.Standing == o.Standing && b.Created.Equal(o.Created) && slices.Equal(b.Evidence, o.Evidence) &&
		maps.Equal(b.Labels, o.Labels) && maps.Equal(b.Annotations, o.Annotations)
}

func (p Probe) differs(o Probe) bool {
	return p.Kind != o.Kind || p.URL != o.URL || p.Address != o.Address || !slices.Equal(p.AcceptStatus, o.AcceptStatus)
}

// Build makes the current state the current snapshot, now. Run makes snapshots
// without being asked; a caller who must see its own change at once may call this.
func (c *Catalogue) Build() {
	c.building.Lock()
	defer c.building.Unlock()
	c.mu.Lock()
	for k := range c.minor {
		c.dirty[k] = struct{}{}
	}
	clear(c.minor)
	c.mu.Unlock()
	c.build()
}

// build shows what is dirty. c.building is held.
func (c *Catalogue) build() {
	c.mu.Lock()
	if !c.synced {
		c.mu.Unlock()
		return
	}
	// What is different is copied out, so that rendering needs no lock.
	updates := make([]update, 0, len(c.dirty))
	for k := range c.dirty {
		u := update{key: k}
		if r := c.records[k]; r != nil {
			u.state = r.state
		}
		updates = append(updates, u)
	}
	if len(c.dirty) > 1000 {
		c.dirty = map[Key]struct{}{} // a map never shrinks
	} else {
		clear(c.dirty)
	}
	discovery := c.discovery
	c.mu.Unlock()

	// The order decides who is first among those that are new: see namer.
	slices.SortFunc(updates, func(a, b update) int { return compareKeys(a.key, b.key) })
	old := c.current.Load()
	s := &Snapshot{ConfigMapVersion: c.version, instance: c.instance, superseded: make(chan struct{})}
	c.assembly.next(s, old, updates, discovery)
	s.BuiltAt = time.Now()
	c.current.Store(s)
	if old == nil {
		close(c.first)
	} else {
		close(old.superseded)
	}
}

// sweep shows what is minor in the next part of the list of toolsets, of as many
// parts as it returns.
//
// With thousands of back ends, there is always some whose last check has a new
// time. Showing them all at once would keep changes that matter waiting; showing
// them as they come would make each chunk of the lists anew many times over.
func (c *Catalogue) sweep() (parts int) {
	c.building.Lock()
	defer c.building.Unlock()
	snap := c.current.Load()
	if snap == nil {
		return 1
	}
	chunks := snap.toolsets.list.chunks
	from, _ := slices.BinarySearchFunc(chunks, c.swept, func(k *chunk, after Key) int {
		if compareKeys(k.last(), after) <= 0 {
			return -1
		}
		return 1
	})
	if from == len(chunks) {
		from = 0
	}
	parts = min(max(len(chunks), 1), minorParts)
	to := min(len(chunks), from+(len(chunks)+parts-1)/parts)
	c.mu.Lock()
	for _, k := range chunks[from:to] {
		for _, p := range k.parts {
			c.sweepOne(p.of.backend.Key)
			for _, alias := range p.of.aliases {
				c.sweepOne(alias)
			}
		}
		c.swept = k.last()
	}
	due := len(c.dirty) > 0
	c.mu.Unlock()
	if due {
		c.build()
	}
	return parts
}

// sweepOne lets what is minor of one backend be shown. c.mu is held.
func (c *Catalogue) sweepOne(key Key) {
	if c.minor[key] {
		delete(c.minor, key)
		c.dirty[key] = struct{}{}
	}
}
