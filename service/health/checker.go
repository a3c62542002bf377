// Package health finds out, again and again, whether the back ends of a
// cluster are healthy.
//
// # One heap, few workers
//
// Every endpoint has a place of its own in the interval, and all places are
// spread evenly over it, so that ten thousand endpoints make a steady stream
// of checks rather than a burst every 30 seconds. One goroutine waits for the
// endpoint that is due next and starts its attempt; no more attempts than
// Options.Concurrency are under way at once; an endpoint that is not being
// checked costs neither a goroutine nor a timer.
//
// An endpoint that does not answer occupies its worker for Options.Timeout per
// attempt, not during the pauses between attempts, and all such endpoints
// together get at most half of the workers: those that answer are checked on
// time however many hang. See lane. One that is known to hang gets one attempt
// per check, as further ones guard against false alarms only: with the default
// options, 1,500 that hang have their checks on time as well; with more, they
// have them late.
//
// # What may be called
//
// Whoever may annotate a Service can make this service call an address of
// their choice, from inside the cluster. So each address is looked at after
// name resolution, as the connection to it is made, and refused if it is
// loopback, link-local, a cloud's metadata service or the like, unless
// Options.AllowCIDRs holds it. That goes for all endpoints: the name of any
// Service may point anywhere (ExternalName). Redirects are not followed, proxy
// environment variables are not honoured, no credentials are sent, and nothing
// of an answer but its status code is ever shown.
package health

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// ErrStopped means that the Checker's Run has ended.
var ErrStopped = errors.New("the health checker has stopped")

// A Checker checks the health of many endpoints. Set, Remove and CheckAllNow
// may be called from any goroutine, before Run as well.
type Checker struct {
	opts  Options
	epoch time.Time // from which the places in the interval are counted
	wake  chan struct{}
	// attempt makes one attempt; it takes over kept. Tests replace it.
	attempt func(ctx context.Context, t *target, kept *conn) outcome

	mu        sync.Mutex
	endpoints map[service.Key]*endpoint
	queue     queue
	started   []*job    // oldest first; see moveSlow
	added     uint64    // endpoints ever added, for even spreading
	newcomer  time.Time // when the next new endpoint may be checked first
	kept      int       // connections kept in endpoints
	seq       uint64    // of the last sweep
	sweeps    []*sweep  // under way, oldest first
	state     state
}

// A state is where in its life a Checker is.
type state int

const (
	idle state = iota
	running
	stopped
)

// An endpoint is what the Checker knows of one key. At any time it waits in the
// queue, or one job runs for it, or the Checker has stopped.
type endpoint struct {
	key     service.Key
	target  *target
	gen     uint64             // counts changes of target
	cancel  context.CancelFunc // of the running job; nil if none runs
	removed bool               // while a job still runs for it
	place   time.Duration      // in the interval

	queued bool
	lane   lane
	due    time.Time
	index  int // in its lane

	attempts int       // made in the check under way
	began    time.Time // first of them
	hanging  bool      // the last check failed, and by taking too long
	conn     *conn     // kept for the next attempt; nil while a job has it
	history  []service.HealthCheck

	asked    uint64 // the last sweep that wants it checked
	answered uint64 // the last sweep that got what it wanted
}

// New returns a Checker, or an error that names each option out of bounds.
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

// Set adds an endpoint, to be checked within about a second, or changes how it
// is checked. A change of the probe forgets the history and checks soon; an
// unchanged probe changes nothing.
//
// userEndpoint says that the endpoint came from an annotation. It makes no
// difference at present: all endpoints are under the same restrictions.
func (c *Checker) Set(key service.Key, probe service.Probe, userEndpoint bool) {
	_ = userEndpoint
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[key]
	switch {
	case e == nil:
		// Multiples of the golden ratio fill an interval evenly, whatever
		// their number.
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

// renew gives e a new target. The job that may run for the old one is cut
// short, and its outcome forgotten.
func (c *Checker) renew(e *endpoint, probe service.Probe) {
	e.target = compile(probe)
	e.gen++
	e.history, e.attempts, e.hanging = nil, 0, false
	c.dropConn(e)
	if e.cancel != nil {
		e.cancel()
	}
}

// Remove ends the checks of an endpoint. A Report that is being called for it
// at this moment may still be under way when Remove returns.
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
	// It stays until its job has ended: a key never has two jobs, so that
	// its reports come in order.
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

// Run checks the endpoints until ctx ends, and returns when every goroutine it
// started has ended (except lookups of names that are under way in the
// standard library, which end by their own timeouts). It must be called at
// most once.
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

// startDue starts the attempts that are due and have a worker, and returns how
// long until the next may be. A worker that gets free wakes Run by itself.
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

// nudge makes Run look at the queue.
func (c *Checker) nudge() {
	select {
	case c.wake <- struct{}{}:
	default: // a token is there already
	}
}

// dropConn closes the connection kept for e, if there is one.
func (c *Checker) dropConn(e *endpoint) {
	if e.conn != nil {
		e.conn.close()
		e.conn = nil
		c.kept--
	}
}

// jitter returns a random part of d.
func jitter(d time.Duration) time.Duration {
	return rand.N(max(d, 1))
}
