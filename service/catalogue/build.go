package catalogue

import (
	"context"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// How long changes wait for others, so that a burst becomes one snapshot. The
// first change of a burst is in the snapshot whose building begins after at most
// maxDelay. Up to that, building a snapshot is followed by a pause of
// restFactor times as long: it takes at most a quarter of a processor's time
// while it takes less than 8 ms.
const (
	quietDelay = 3 * time.Millisecond
	maxDelay   = 25 * time.Millisecond
	restFactor = 3
	// minorDelay is within how long a change of times alone is shown (the time
	// of the last health check): nobody acts on it. Large clusters are gone
	// through in up to minorParts parts.
	minorDelay = 5 * time.Second
	minorParts = 50
)

// Run builds snapshots until ctx ends.
func (c *Catalogue) Run(ctx context.Context) {
	minor := time.NewTimer(minorDelay)
	defer minor.Stop()
	var took time.Duration // by the last snapshot
	for {
		select {
		case <-ctx.Done():
			return
		case <-minor.C:
			minor.Reset(minorDelay / time.Duration(c.sweep()))
		case <-c.wake:
			c.settle(ctx, min(max(quietDelay, restFactor*took), maxDelay))
			begin := time.Now()
			c.building.Lock()
			c.build()
			c.building.Unlock()
			took = time.Since(begin)
		}
	}
}

// settle waits until changes have paused for quiet, but not for long.
func (c *Catalogue) settle(ctx context.Context, quiet time.Duration) {
	deadline := time.NewTimer(maxDelay)
	defer deadline.Stop()
	paused := time.NewTimer(quiet)
	defer paused.Stop()
	for {
		select {
		case <-c.wake:
			paused.Reset(quiet)
		case <-paused.C:
			return
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
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

// touch makes Run build a snapshot soon.
func (c *Catalogue) touch() {
	select {
	case c.wake <- struct{}{}:
	default: // a token is there already
	}
}
