//go:build !linux

package schedule

import (
	"context"
	"time"
)

// An alarm waits.
type alarm struct {
	ctx   context.Context
	timer *time.Timer
}

// newAlarm returns an alarm that stops waiting when ctx ends.
func newAlarm(ctx context.Context) (*alarm, error) {
	return &alarm{ctx, time.NewTimer(0)}, nil
}

// wait returns after d, which must be positive, or when the context has ended.
func (a *alarm) wait(d time.Duration) error {
	a.timer.Reset(d)
	select {
	case <-a.ctx.Done():
	case <-a.timer.C:
	}
	return nil
}

func (a *alarm) close() { a.timer.Stop() }
