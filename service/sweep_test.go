package service

import (
	"testing"
	"time"
)

// New times of checks are shown part by part, each chunk of the lists once, and
// all of them in one round; a change that matters does not wait for them, and
// takes none of them with it.
func TestSweep(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	const n = 2000
	all := clusterOf(n)
	c.Replace(all)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	check := func(at time.Time) {
		for _, svc := range all {
			c.SetHealth(keyOf(svc), Health{Healthy: true, Reason: "fine", CheckedAt: at})
		}
	}
	check(at)
	c.Build()
	shown := func() (renewed int) {
		for _, r := range c.Snapshot().all {
			body, _ := c.Snapshot().Lookup([]byte(r.name), []byte(r.backend.Key.Namespace))
			if decode[toolsetJSON](t, body.JSON).LastHealthCheck == nil {
				t.Fatalf("%s has no health check", r.name)
			}
			if *decode[toolsetJSON](t, body.JSON).LastHealthCheck == FormatTime(at.Add(time.Minute)) {
				renewed++
			}
		}
		return renewed
	}
	check(at.Add(time.Minute))
	c.SetHealth(keyOf(all[0]), Health{Healthy: false, Reason: "gone", CheckedAt: at.Add(time.Minute)})
	c.building.Lock()
	c.build()
	c.building.Unlock()
	if got := shown(); got != 1 {
		t.Fatalf("%d of %d new times were shown with a change of one toolset", got, n)
	}
	chunks := c.Snapshot().toolsets.list.chunks
	parts := c.sweep()
	if parts < 2 || parts > minorParts {
		t.Fatalf("%d parts", parts)
	}
	if got := shown(); got < 2 || got > n/4 {
		t.Errorf("%d of %d new times were shown in one of %d parts", got, n, parts)
	}
	anew := 0
	for i, k := range c.Snapshot().toolsets.list.chunks {
		if k != chunks[i] {
			anew++
		}
	}
	if most := (len(chunks) + parts - 1) / parts; anew > most {
		t.Errorf("%d of %d chunks were made anew, want at most %d", anew, len(chunks), most)
	}
	for range parts - 1 {
		c.sweep()
	}
	if got := shown(); got != n {
		t.Errorf("%d of %d new times were shown after a round", got, n)
	}
	if len(c.minor) > 0 {
		t.Errorf("%d new times still wait", len(c.minor))
	}
	// Nothing to show makes no snapshot.
	before := c.Snapshot()
	if c.sweep(); c.Snapshot() != before {
		t.Error("a snapshot without a change")
	}
	// Whatever is gone waits no longer.
	c.SetHealth(keyOf(all[1]), Health{Healthy: true, Reason: "fine", CheckedAt: at.Add(time.Hour)})
	c.Replace(all[:1])
	c.Build()
	if c.sweep(); len(c.minor) > 0 || c.Snapshot().Toolsets().Len() != 1 {
		t.Errorf("%d wait of what is gone", len(c.minor))
	}
}
