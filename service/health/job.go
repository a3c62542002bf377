package health

import (
	"context"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// A job is one attempt at one endpoint.
type job struct {
	e      *endpoint
	gen    uint64 // of e when the job started
	target *target
	seq    uint64 // the last sweep that had asked for e when the job started
	lane   lane   // the workers it counts among; under the lock, as it may change
	due    time.Time
	class  Class         // as which it started
	first  bool          // of its check
	late   time.Duration // after it was due, if it is the first
	kept   *conn

	patience time.Time // when it loses its place in lane, if that isn't slow
	over     bool      // the attempt has ended
	evicted  bool      // it was ended, as there was no place among the slow ones
}

// run makes the attempt, reports the check if this ends it, and gives the
// endpoint its next due time.
func (c *Checker) run(ctx, attempt context.Context, j *job) {
	if j.first {
		c.opts.OnStart(j.class, j.late)
	}
	began := time.Now()
	o := c.attempt(attempt, j.target, j.kept)
	took := time.Since(began)
	hung := took >= c.opts.Timeout/2

	c.mu.Lock()
	e := j.e
	j.over = true
	// What an interrupted attempt found out is worth nothing.
	valid := e.gen == j.gen && ctx.Err() == nil && (o.healthy || !j.evicted)
	done := valid && (o.healthy || o.final || e.attempts >= c.opts.Attempts || hung && e.hanging)
	var health service.Health
	var all time.Duration
	if done {
		now := time.Now()
		all = now.Sub(e.began)
		e.hanging = hung && !o.healthy
		health = c.record(e, &o, now)
	}
	c.mu.Unlock()

	if done {
		c.opts.OnCheck(e.key, health.Healthy, all)
		c.opts.Report(e.key, health)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.done(j.lane)
	e.cancel = nil
	c.keep(e, j, o.kept)
	defer c.nudge()
	now := time.Now()
	switch {
	case ctx.Err() != nil:
		// Run is ending.
	case e.removed:
		delete(c.endpoints, e.key)
	case e.gen != j.gen:
		e.attempts = 0
		c.enqueue(e, newly, c.soon())
	case !valid: // evicted
		e.attempts--
		c.enqueue(e, slow, j.due)
	case !done:
		c.enqueue(e, c.laneOf(took), now.Add(c.backoff(e.attempts)))
	default:
		e.attempts = 0
		c.release(e, j.seq)
		due := c.nextPlace(e, now)
		if e.asked > e.answered {
			due = now // a sweep began after this attempt did
		}
		c.enqueue(e, c.laneOf(took), due)
	}
}

// keep hands the connection of a finished job back to its endpoint, if it may
// be kept.
func (c *Checker) keep(e *endpoint, j *job, cn *conn) {
	if cn == nil {
		return
	}
	if e.gen != j.gen || c.kept >= c.opts.MaxIdleConns {
		cn.close()
		return
	}
	e.conn = cn
	c.kept++
}

// record adds a finished check to e's history and returns what to report. The
// history is a new slice each time: whoever got the last one may still read it.
func (c *Checker) record(e *endpoint, o *outcome, now time.Time) service.Health {
	check := service.HealthCheck{
		Time:      now,
		Healthy:   o.healthy,
		Reason:    c.sentence(o, e.attempts),
		LatencyMS: float64(o.latency.Microseconds()) / 1000,
		Attempts:  e.attempts,
	}
	old := e.history[:min(len(e.history), c.opts.HistorySize-1)]
	e.history = slices.Concat([]service.HealthCheck{check}, old)
	return service.Health{
		Healthy:   check.Healthy,
		Reason:    check.Reason,
		CheckedAt: check.Time,
		History:   e.history,
	}
}

// backoff is the pause after the given number of failed attempts: 200 ms,
// 400 ms, ..., each between three and five quarters of that.
func (c *Checker) backoff(attempts int) time.Duration {
	d := min(c.opts.Backoff<<(attempts-1), MaxTimeout)
	return d*3/4 + jitter(d/2)
}
