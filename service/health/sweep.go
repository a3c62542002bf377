package health

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// sweepShare is how long after a sweep's start further callers are content
// with it.
const sweepShare = time.Second

// sweepGap is between two endpoints of a sweep: that of 10,000 takes 2 s, and
// connections, and lookups of names, are not begun by the hundred at once.
const sweepGap = 200 * time.Microsecond

// A sweep checks every endpoint once. An endpoint has had its check when an
// attempt that started after the sweep did has ended a check.
type sweep struct {
	seq     uint64
	started time.Time
	left    int // endpoints not checked yet
	waiting int // callers
	done    chan struct{}
	err     error // set before done is closed
}

// CheckAllNow checks every endpoint now, 5,000 a second if Options.Concurrency
// permits, and returns nil when the last has been reported. Calls within a
// second of each other share one sweep. If ctx ends first, the checks go on, and
// the error says how many were still to come; if Run has ended, the error is
// ErrStopped. Before Run, it waits.
func (c *Checker) CheckAllNow(ctx context.Context) error {
	c.mu.Lock()
	if c.state == stopped {
		c.mu.Unlock()
		return ErrStopped
	}
	s := c.joinSweep(time.Now())
	s.waiting++
	c.mu.Unlock()
	c.nudge()

	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.waiting--
	left := s.left
	if s.waiting == 0 {
		// Nobody is there to be told; the endpoints stay due.
		c.sweeps = slices.DeleteFunc(c.sweeps, func(o *sweep) bool { return o == s })
	}
	return fmt.Errorf("%d health checks were not finished in time: %w", left, context.Cause(ctx))
}

// joinSweep returns the sweep that has just begun, or begins one. The number of
// sweeps is bounded by that of waiting callers.
func (c *Checker) joinSweep(now time.Time) *sweep {
	if n := len(c.sweeps); n > 0 && now.Sub(c.sweeps[n-1].started) < sweepShare {
		return c.sweeps[n-1]
	}
	c.seq++
	s := &sweep{seq: c.seq, started: now, done: make(chan struct{})}
	for _, e := range c.endpoints {
		if e.removed {
			continue
		}
		e.asked = s.seq
		due := now.Add(time.Duration(s.left) * sweepGap)
		s.left++
		// One between two attempts keeps its pause.
		if e.queued && e.attempts == 0 && e.due.After(due) {
			c.enqueue(e, e.lane, due)
		}
	}
	if s.left == 0 {
		close(s.done)
		return s
	}
	c.sweeps = append(c.sweeps, s)
	return s
}

// release tells the sweeps up to seq that e has had its check, or will never
// have it because it is gone.
func (c *Checker) release(e *endpoint, seq uint64) {
	c.sweeps = slices.DeleteFunc(c.sweeps, func(s *sweep) bool {
		if s.seq <= e.answered || s.seq > seq {
			return false
		}
		s.left--
		if s.left == 0 {
			close(s.done)
		}
		return s.left == 0
	})
	e.answered = max(e.answered, seq)
}
