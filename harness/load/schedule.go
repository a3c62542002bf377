package load

import (
	"context"
	"time"
)

// schedule calls release for each request when it is due, at a constant rate
// until ctx ends. The moments follow from the beginning and the number alone, so
// that no delay, neither the clock's nor release's, moves those that follow: who
// is late catches up. When ctx ends, all that were due by then were released.
func schedule(ctx context.Context, begin time.Time, rate float64, release func(i int, due time.Time)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		release(i, due)
	}
}
