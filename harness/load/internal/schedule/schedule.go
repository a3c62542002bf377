// Package schedule calls a function at a constant rate, whatever that function does,
// and counts how late things are.
package schedule

import (
	"context"
	"time"
)

// Run calls release for each request when it is due, at a constant rate, until ctx
// ends. When a request is due depends on begin and its number alone, so that no delay
// shifts those that follow: after a delay, Run catches up. When it returns, all
// requests due before the end of ctx have been released. An error means that the rate
// could not be kept.
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
