//go:build !linux

package schedule

import (
	"context"
	"time"
)

// alarm wakes up at a moment.
type alarm struct {
	ctx   context.Context
	timer *time.Timer
}

// newAlarm makes an alarm that no longer waits once ctx has ended.
func newAlarm(ctx context.Context) (*alarm, error) {
	return &alarm{ctx, time.NewTimer(0)}, nil
}

// wait returns after d, which is more than 0, or when the context has ended.
func (a *alarm) wait(d time.Duration) error {
	a.timer.Reset(d)
	select {
	case <-a.ctx.Done():
	case <-a.timer.C:
	}
	return nil
}

func (a *alarm) close() { a.timer.Stop() }
