package catalogue

import (
	"context"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// How long changes wait for others, so that a burst becomes few snapshots. A change waits
// for quietDelay, and until restFactor times the time of the last build, but not more than
// maxDelay, has passed since that build. So building takes at most a quarter of a processor
// while a build takes less than 1.7 ms, and half while it takes less than 5 ms. Further
// changes don't prolong it: where there is one every few milliseconds, all of them would
// else wait for the longest time.
const (
	quietDelay = 3 * time.Millisecond
	maxDelay   = 5 * time.Millisecond
	restFactor = 3
	// minorDelay is the time within which a change of nothing but the time of the last
	// check is shown, or of why a back end can't be asked what it is. Nobody acts on it. In
	// large clusters this happens in up to minorParts parts, each of which is followed by a
	// pause of minorRest times as long as it took: where a part takes longer than 5 ms, as
	// the processors have other things to do, changes that matter must not wait for more of
	// them.
	minorDelay = 5 * time.Second
	minorParts = 50
	minorRest  = 20
)

// Run builds snapshots until ctx ends.
func (c *Catalogue) Run(ctx context.Context) {
	minor := time.NewTimer(minorDelay)
	defer minor.Stop()
	var rested time.Time // when the next snapshot may be built
	for {
		select {
		case <-ctx.Done():
			return
		case <-minor.C:
			begin := time.Now()
			parts := c.sweep()
			minor.Reset(minorPause(parts, time.Since(begin)))
		case <-c.wake:
			if !wait(ctx, max(quietDelay, time.Until(rested))) {
				return
			}
			select {
			case <-c.wake: // what has come meanwhile is built as well
			default:
			}
			begin := time.Now()
			c.building.Lock()
			c.build()
			c.building.Unlock()
			end := time.Now()
			rested = end.Add(min(restFactor*end.Sub(begin), maxDelay))
		}
	}
}

// minorPause returns how long to wait after a part of the minor changes, one of so many,
// that took so long.
func minorPause(parts int, took time.Duration) time.Duration {
	return max(minorDelay/time.Duration(parts), min(minorRest*took, minorDelay))
}

// wait waits for d. It returns false if ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Build makes the current state the current snapshot. Run does so by itself; Build is for
// callers that must see their own change at once.
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

// build makes the next snapshot from what is dirty. c.building is held.
func (c *Catalogue) build() {
	c.mu.Lock()
	if !c.synced {
		c.mu.Unlock()
		return
	}
	// Copies, so that rendering needs no lock.
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

// sweep shows the minor changes in the next part of the list of toolsets, and returns the
// number of parts.
//
// With thousands of back ends there are always some with a new time. To show all of them at
// once would delay changes that matter; to show each as it comes would render every chunk
// of the lists many times.
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
