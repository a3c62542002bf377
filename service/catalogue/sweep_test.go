package catalogue

import (
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// New times of checks are shown part by part, all within one round. A change that matters
// neither waits for them nor shows any of them early.
func TestSweep(t *testing.T) {
	c := New(servicetest.Identify, nil)
	const n = 2000
	all := servicetest.Cluster(n)
	c.Replace(all)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	check := func(at time.Time) {
		for _, svc := range all {
			c.SetHealth(keyOf(svc), service.Health{Healthy: true, Reason: "fine", CheckedAt: at})
		}
	}
	check(at)
	c.Build()
	shown := func() (renewed int) {
		for _, s := range toolsets(t, c) {
			switch s.LastHealthCheck {
			case "":
				t.Fatalf("%s has no health check", s.Name)
			case snapshot.FormatTime(at.Add(time.Minute)):
				renewed++
			}
		}
		return renewed
	}
	check(at.Add(time.Minute))
	c.SetHealth(keyOf(all[0]), service.Health{Healthy: false, Reason: "gone", CheckedAt: at.Add(time.Minute)})
	c.building.Lock()
	c.build()
	c.building.Unlock()
	if got := shown(); got != 1 {
		t.Fatalf("%d of %d new times were shown with a change of one toolset", got, n)
	}
	parts := c.sweep()
	if parts < 2 || parts > minorParts {
		t.Fatalf("%d parts", parts)
	}
	if got := shown(); got < 2 || got > n/4 {
		t.Errorf("%d of %d new times were shown in one of %d parts", got, n, parts)
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
	// Without anything to show there is no snapshot.
	before := c.Snapshot()
	if c.sweep(); c.Snapshot() != before {
		t.Error("a snapshot without a change")
	}
	// Nothing waits for what is gone.
	c.SetHealth(keyOf(all[1]), service.Health{Healthy: true, Reason: "fine", CheckedAt: at.Add(time.Hour)})
	c.Replace(all[:1])
	c.Build()
	if c.sweep(); len(c.minor) > 0 || c.Snapshot().Toolsets().Len() != 1 {
		t.Errorf("%d wait of what is gone", len(c.minor))
	}
}

// All parts are shown within one round, unless that would take much of a processor.
func TestMinorChangesYieldWhereTheyAreCostly(t *testing.T) {
	for _, tc := range []struct {
		parts      int
		took, want time.Duration
	}{
		{1, time.Millisecond, minorDelay},
		{50, 2 * time.Millisecond, minorDelay / 50},
		{50, 25 * time.Millisecond, 500 * time.Millisecond},
		{50, time.Second, minorDelay},
	} {
		if got := minorPause(tc.parts, tc.took); got != tc.want {
			t.Errorf("%v after one of %d parts that took %v, want %v", got, tc.parts, tc.took, tc.want)
		}
	}
}
