package health

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// sweepShare is how long after its start a sweep is shared with further callers.
const sweepShare = time.Second

// sweepGap is the time between the endpoints of a sweep. So a sweep of 10,000 takes 2 s, and
// does not begin hundreds of connections and name lookups at once.
const sweepGap = 200 * time.Microsecond

// A sweep is one check of every endpoint. An endpoint has had it when an attempt that began
// after the sweep has ended a check.
type sweep struct {
	seq     uint64
	started time.Time
	left    int // number of endpoints not checked yet
	waiting int // number of callers
	done    chan struct{}
	err     error // set before done is closed
}

// CheckAllNow checks every endpoint now, 5,000 per second if Options.Concurrency permits,
// and returns nil when all are reported. Calls within a second share one sweep. Before Run,
// it waits. If ctx ends first, the error says how many checks were not finished; they go
// on. If Run ends or has ended, the error is ErrStopped.
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
		// Nobody waits for it any longer. The endpoints remain due.
		c.sweeps = slices.DeleteFunc(c.sweeps, func(o *sweep) bool { return o == s })
	}
	return fmt.Errorf("%d health checks were not finished in time: %w", left, context.Cause(ctx))
}

// joinSweep returns the sweep that has just begun, or begins one. There are at most as many
// sweeps as waiting callers.
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
		// Between two attempts of a check, the pause remains.
		if e.Queued() && e.attempts == 0 && e.Due().After(due) {
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

// release tells the sweeps up to seq that e has had its check, or is gone and never will.
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
