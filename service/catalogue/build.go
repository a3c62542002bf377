package catalogue

import (
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

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
	updates := make([]snapshot.Update, 0, len(c.dirty))
	for k := range c.dirty {
		u := snapshot.Update{Key: k}
		if r := c.records[k]; r != nil {
			u.State = r.State
		}
		updates = append(updates, u)
	}
	if len(c.dirty) > 1000 {
		c.dirty = map[service.Key]struct{}{} // a map never shrinks
	} else {
		clear(c.dirty)
	}
	discovery := c.discovery
	c.mu.Unlock()

	old := c.current.Load()
	c.current.Store(c.builder.Next(old, updates, discovery, c.version))
	if old == nil {
		close(c.first)
	} else {
		old.Supersede()
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
	keys, last, parts := snap.Portion(c.swept, minorParts)
	c.swept = last
	c.mu.Lock()
	for _, k := range keys {
		if c.minor[k] {
			delete(c.minor, k)
			c.dirty[k] = struct{}{}
		}
	}
	due := len(c.dirty) > 0
	c.mu.Unlock()
	if due {
		c.build()
	}
	return parts
}
