package hotpath

import (
	"runtime"
	"runtime/debug"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const (
	// warmUp is the number of exchanges before the measurement. After it every buffer has
	// grown to its size and every pool has an object for each processor.
	warmUp = 500
	// measured is the number of lookups in a round.
	measured = 2500
	// rounds is the number of rounds that must all see allocations before the test fails.
	rounds = 100
)

// A lookup allocates nothing in the whole server, over real connections: with request
// identifiers, metrics, in-flight counting and X-Served-By, with and without
// authentication and a rate limit.
//
// The test counts the allocations of the whole process. A few do not come from lookups:
// fasthttp renders the date once a second, for example. So one round without any
// allocation is enough, and a round is short, since on a busy machine one that takes a
// second always sees some. If as few as one lookup in 2,500 allocated, every round would
// see it.
func TestLookupsDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the garbage collector empties the pools
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
					exchange(measured / l.depth)
					least = min(least, mallocs()-before)
				}
				if least > 0 {
					t.Errorf("%s, over %s, authorized %v: %.4f allocations for each lookup", l.name, network, authorized, float64(least)/measured)
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
