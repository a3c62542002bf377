package hotpath

import (
	"runtime"
	"runtime/debug"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const (
	// warmUp is how many exchanges it takes until every buffer has its size and
	// every pool an object for each processor.
	warmUp = 500
	// measured is how many exchanges a round counts the allocations of.
	measured = 2500
	// rounds without success until a lookup is said to allocate.
	rounds = 20
)

// A lookup allocates nothing, in the whole server over real connections: with
// request identifiers, metrics, in-flight counting and X-Served-By, with and
// without authentication and a rate limit.
//
// What is counted are the allocations of the whole process. Others than those of
// lookups are few and rare: fasthttp renders the date anew each second. So of
// several rounds one must have none at all. What a lookup allocates is in every
// round, and be it one in 2,500 that allocates.
func TestLookupsDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
	for _, network := range []string{memory, tcp} {
		for _, authorized := range []bool{false, true} {
			dial := serveToolset(t, network, authorized)
			for _, l := range lookups {
				c := newClient(t, dial, l, authorized)
				exchange := func(n int) {
					for range n {
						if err := c.exchange(); err != nil {
							t.Fatalf("%s: %v", l.name, err)
						}
					}
				}
				exchange(warmUp)
				least := ^uint64(0)
				for i := 0; i < rounds && least > 0; i++ {
					before := mallocs()
					exchange(measured)
					least = min(least, mallocs()-before)
				}
				if least > 0 {
					t.Errorf("%s, over %s, authorized %v: %.4f allocations for each lookup", l.name, network, authorized, float64(least)/float64(measured*l.depth))
				}
			}
		}
	}
}

// mallocs returns how many objects this process has allocated so far.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
