// Package parallel spreads work over the processors.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// worthIt is how many pieces of work are worth a goroutine.
const worthIt = 16

// For calls f for 0 to n-1, on all processors if n is large, and returns when
// all calls have.
func For(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/worthIt)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	working.Wait()
}
