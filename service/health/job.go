package health

import (
	"context"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
	"kubernaut.io/dynamic-toolset/service/internal/schedule"
)

// A job is one attempt at an endpoint.
type job struct {
	e      *endpoint
	gen    uint64 // that of e when the job started
	target *target
	seq    uint64 // e.asked when the job started
	lane   lane   // whose workers it counts among; guarded by Checker.mu, as it may change
	due    time.Time
	class  Class         // that of lane when it started
	first  bool          // it is the first attempt of its check
	late   time.Duration // how long after it was due, if it is the first
	kept   *outbound.Conn

	patience time.Time // when it becomes slow, unless it is slow already
	over     bool      // the attempt has ended
	evicted  bool      // it was cancelled because there was no worker for it among the slow
}

// run makes the attempt, reports the check if that ends with it, and puts the endpoint back
// into the queue.
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
	// A cancelled attempt says nothing, unless it was evicted and yet healthy.
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
			due = now // the sweep began after this attempt
		}
		c.enqueue(e, c.laneOf(took), due)
	}
}

// keep stores the connection of a finished job with its endpoint, or closes it.
func (c *Checker) keep(e *endpoint, j *job, cn *outbound.Conn) {
	if cn == nil {
		return
	}
	if e.gen != j.gen || c.kept >= c.opts.MaxIdleConns {
		cn.Close()
		return
	}
	e.conn = cn
	c.kept++
}

// record adds a finished check to the history of e, and returns what to report. The history
// is a new slice each time, since the last one may still be in use.
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

// backoff returns the pause after this number of failed attempts: 200 ms, 400 ms, ... by
// default, varied by up to a quarter.
func (c *Checker) backoff(attempts int) time.Duration {
	d := min(c.opts.Backoff<<(attempts-1), maxTimeout)
	return d*3/4 + schedule.Jitter(d/2)
}
