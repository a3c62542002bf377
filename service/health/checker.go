// Package health checks, again and again, whether the back ends of a cluster are healthy. A
// [Checker] is given endpoints by Set and Remove, checks them while Run runs, and reports
// to Options.Report.
//
// # Scheduling
//
// Every endpoint has a place of its own in the interval, and the places are spread evenly,
// so that ten thousand endpoints make a steady stream of checks and not a burst every 30
// seconds. One goroutine waits for the endpoint that is due next and starts the attempt in
// a goroutine of its own, a worker. There are at most Options.Concurrency workers. An
// endpoint that is not being checked costs neither a goroutine nor a timer (schedule.go).
//
// An endpoint that does not answer occupies a worker for Options.Timeout in each attempt,
// but not during the pauses between attempts. All such endpoints together get at most half
// of the workers, so that the others are checked on time, however many hang: see lane. A
// check of an endpoint that is known to hang is a single attempt, since more would only
// prevent false alarms. With the default options, up to 1,500 endpoints that hang are
// checked on time as well; more of them are checked late.
//
// # What may be called
//
// Whoever may annotate a Service can make this service call any address from inside the
// cluster. So each address is checked after name resolution, just before the connection is
// made. It is refused if it is loopback, link-local, a cloud's metadata service or the
// like, unless Options.AllowCIDRs contains it. That applies to all endpoints, since the
// name of any Service may lead anywhere (ExternalName). Checks follow no redirects, ignore
// the environment variables for proxies, send no credentials, and show nothing of an answer
// but its status code.
package health

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
	"kubernaut.io/dynamic-toolset/service/internal/schedule"
)

// ErrStopped means that Run has ended.
var ErrStopped = errors.New("the health checker has stopped")

// A Checker checks the health of many endpoints. Set, Remove, Len and CheckAllNow may be
// called concurrently, also before Run.
type Checker struct {
	opts  Options
	epoch time.Time // the places in the interval count from it
	wake  chan struct{}
	// attempt makes one attempt, and takes over kept. Tests replace it.
	attempt func(ctx context.Context, t *target, kept *outbound.Conn) outcome

	mu        sync.Mutex
	endpoints map[service.Key]*endpoint
	queue     queue
	started   []*job // attempts that may still become slow, oldest first; see moveSlow
	added     uint64 // number of endpoints ever added, to spread them evenly
	newcomers schedule.Pace
	kept      int      // number of connections kept by endpoints
	seq       uint64   // number of the last sweep
	sweeps    []*sweep // under way, oldest first
	state     state
}

// A state of a Checker.
type state int

const (
	idle state = iota
	running
	stopped
)

// An endpoint is what the Checker knows about one key. At any time it is in the queue, or
// has a running job, or the Checker has stopped.
type endpoint struct {
	schedule.Item
	key     service.Key
	target  *target
	gen     uint64             // number of changes of target
	cancel  context.CancelFunc // cancels the running job; nil if there is none
	removed bool               // Remove was called, but a job is still running
	place   time.Duration      // in the interval

	lane     lane
	attempts int            // made in the current check
	began    time.Time      // when the first of them began
	hanging  bool           // the last check failed by taking too long
	conn     *outbound.Conn // kept for the next attempt; nil while a job uses it
	history  []service.HealthCheck

	asked    uint64 // the last sweep that wants a check
	answered uint64 // the last sweep that has got its check
}

// New returns a Checker, or an error that names all options that are out of bounds.
func New(o Options) (*Checker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Checker{
		opts:      o,
		epoch:     time.Now(),
		wake:      make(chan struct{}, 1),
		attempt:   newCaller(&o).call,
		endpoints: map[service.Key]*endpoint{},
		queue:     newQueue(o.Concurrency),
	}, nil
}

// Set adds an endpoint, which is checked within about a second, or changes its probe, which
// clears its history and checks it soon. With the same probe it does nothing.
// Whoever chose the endpoint, the same restrictions apply.
func (c *Checker) Set(key service.Key, probe service.Probe) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[key]
	switch {
	case e == nil:
		// Multiples of the golden ratio fill the interval evenly, however many there are.
		_, fraction := math.Modf(float64(c.added) * (math.Phi - 1))
		c.added++
		e = &endpoint{
			key:      key,
			target:   compile(probe),
			place:    time.Duration(fraction * float64(c.opts.Interval)),
			asked:    c.seq,
			answered: c.seq,
		}
		c.endpoints[key] = e
	case e.removed:
		e.removed = false
		e.asked, e.answered = c.seq, c.seq
		c.renew(e, probe)
	case e.target.same(probe):
		return
	default:
		c.renew(e, probe)
	}
	if e.cancel == nil {
		c.enqueue(e, newly, c.soon())
		c.nudge()
	}
}

// renew gives e a new target. A running job for the old one is cancelled, and its outcome
// ignored.
func (c *Checker) renew(e *endpoint, probe service.Probe) {
	e.target = compile(probe)
	e.gen++
	e.history, e.attempts, e.hanging = nil, 0, false
	c.dropConn(e)
	if e.cancel != nil {
		e.cancel()
	}
}

// Remove ends the checks of an endpoint. A call of Report for it may still be running when
// Remove returns.
func (c *Checker) Remove(key service.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[key]
	if e == nil || e.removed {
		return
	}
	c.release(e, e.asked)
	c.queue.remove(e)
	c.dropConn(e)
	if e.cancel == nil {
		delete(c.endpoints, key)
		return
	}
	// Keep it until its job has ended: a key never has two jobs, so that its reports are in
	// order.
	e.removed = true
	e.gen++
	e.cancel()
}

// Len returns the number of endpoints.
func (c *Checker) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, e := range c.endpoints {
		if !e.removed {
			n++
		}
	}
	return n
}

// Run checks the endpoints until ctx ends, and returns when its goroutines have ended.
// (Name lookups in the standard library may last until their own timeouts.) It must be
// called at most once.
func (c *Checker) Run(ctx context.Context) {
	c.mu.Lock()
	if c.state != idle {
		c.mu.Unlock()
		panic("health: Checker.Run called twice")
	}
	c.state = running
	c.mu.Unlock()

	var jobs sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		next := c.startDue(ctx, &jobs)
		timer.Reset(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-c.wake:
		}
	}
	jobs.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = stopped
	for _, e := range c.endpoints {
		c.dropConn(e)
	}
	for _, s := range c.sweeps {
		s.err = ErrStopped
		close(s.done)
	}
	c.sweeps = nil
}

// startDue starts the attempts that are due and have a worker. It returns how long to wait
// for the next one; a worker that becomes free wakes Run earlier.
func (c *Checker) startDue(ctx context.Context, jobs *sync.WaitGroup) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	slower := c.moveSlow(now)
	for {
		e, due := c.queue.next()
		if e == nil {
			return slower
		}
		if wait := due.Sub(now); wait > 0 {
			return min(wait, slower)
		}
		c.queue.start(e)
		j := &job{e: e, gen: e.gen, target: e.target, seq: e.asked, lane: e.lane, class: e.lane.class(), due: due, kept: e.conn, patience: now.Add(c.patience())}
		if j.lane != slow {
			c.started = append(c.started, j)
			slower = min(slower, c.patience())
		}
		if e.conn != nil {
			e.conn = nil
			c.kept--
		}
		if e.attempts == 0 {
			e.began = now
			j.first, j.late = true, max(0, now.Sub(due))
		}
		e.attempts++
		attempt, cancel := context.WithTimeout(ctx, c.opts.Timeout)
		e.cancel = cancel
		jobs.Go(func() {
			defer cancel()
			c.run(ctx, attempt, j)
		})
	}
}

// nudge makes Run call startDue.
func (c *Checker) nudge() {
	select {
	case c.wake <- struct{}{}:
	default: // a token is there already
	}
}

// dropConn closes the connection that e keeps, if there is one.
func (c *Checker) dropConn(e *endpoint) {
	if e.conn != nil {
		e.conn.Close()
		e.conn = nil
		c.kept--
	}
}
