// Package schedule calls a function at a constant rate, whatever that function does, and
// counts how late the calls came.
package schedule

import (
	"context"
	"time"
)

// Run calls release for each request when it is due, at a constant rate
// until ctx ends. The moments follow from the beginning and the number alone, so
// that no delay, neither the clock's nor release's, moves those that follow: who
// is late catches up. When ctx ends, all that were due by then were released. An
// error means that the rate could not be kept.
func Run(ctx context.Context, begin time.Time, rate float64, release func(i int, due time.Time)) error {
	a, err := newAlarm(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			if ctx.Err() != nil {
				return nil
			}
			if err := a.wait(wait); err != nil {
				return err
			}
		}
		release(i, due)
	}
}
