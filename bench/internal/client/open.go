package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/internal/quantile"
)

// A Schedule determines when the requests of an open loop are due: as if many independent
// clients sent them (a Poisson process).
type Schedule struct {
	Rate float64 // requests per second on average
	Seed uint64  // the same seed makes the same schedule
	// Grace is how long after the window to wait for answers.
	Grace time.Duration
}

// maxDue bounds the number of requests in a window, and with it the memory for their times,
// 24 bytes each.
const maxDue = 20_000_000

// times returns when the requests are due, counted from the beginning of the window.
func (s *Schedule) times(window time.Duration) ([]time.Duration, error) {
	expected := s.Rate * window.Seconds()
	if !(s.Rate > 0 && expected >= 1 && expected <= maxDue) { // refuses NaN, too
		return nil, fmt.Errorf("%v requests a second for %v: these must be 1 to %d requests", s.Rate, window, maxDue)
	}
	r := rand.New(rand.NewPCG(s.Seed, 2)) // #nosec G404 -- a sequence that can be repeated
	due := make([]time.Duration, 0, int(expected*1.1)+1000)
	for at := r.ExpFloat64() / s.Rate; at < window.Seconds(); at += r.ExpFloat64() / s.Rate {
		due = append(due, time.Duration(at*float64(time.Second)))
	}
	return due, nil
}

// A Latency is what Open measured. All times are counted from when a request was due.
// Quantiles (nearest rank) are those of all requests that did not fail.
type Latency struct {
	Due int // requests in the schedule
	// Answered is the number of requests that were answered until the end of
	// Schedule.Grace. A request that was then neither answered nor failed is in the
	// quantiles as if it had been answered at that time, which is the least that it takes.
	Answered            int
	Failed              int
	Failure             string // the first one
	P50, P99, P999, Max time.Duration
	// Late99 and Late999 are quantiles of how long after its due time the client sent a
	// request for which a connection was idle. The quantiles above include this time.
	Late99, Late999 time.Duration
	CPU             time.Duration // CPU time of the server in the window
	Reconnects      int           // as in Result
}

// Open measures an open loop. It sends each request when it is due, on the connection that
// has been idle longest, or, if none is idle, as soon as one is.
func Open(ctx context.Context, o Options, s Schedule) (Latency, error) {
	if o.NewConnections || o.Pipelined > 1 {
		return Latency{}, errors.New("an open loop is on connections that are kept, and not pipelined")
	}
	due, err := s.times(o.Window)
	if err != nil {
		return Latency{}, err
	}
	e, err := newEngine(ctx, &o)
	if err != nil {
		return Latency{}, err
	}
	defer e.close()
	w := &schedule{
		due: due, took: make([]time.Duration, 0, len(due)), late: make([]time.Duration, 0, len(due)),
		ring: make([]*conn, o.Connections),
	}
	release := e.begin()
	defer release()
	e.dialAll()
	if err := e.run(e.now() + o.Lead); err != nil {
		return Latency{}, err
	}
	if err := e.settle(o.patience()); err != nil {
		return Latency{}, err
	}
	e.abandon("not answered within %v before the window", o.patience())
	if e.failed > 0 {
		return Latency{Due: len(due), Failed: e.failed, Failure: e.failure}, nil
	}
	used, err := o.used()
	if err != nil {
		return Latency{}, err
	}
	if err := w.run(e, o.Window); err != nil {
		return Latency{}, err
	}
	after, err := o.used()
	if err != nil {
		return Latency{}, err
	}
	if err := w.finish(e, s.Grace); err != nil {
		return Latency{}, err
	}
	l := w.sum(e)
	l.CPU = after - used
	return l, nil
}

// A schedule is the state of an open loop under way.
type schedule struct {
	began time.Duration   // beginning of the window, as returned by engine.now
	due   []time.Duration // when each request is due, from began
	sent  int             // number of requests sent, in the order of due
	took  []time.Duration // time of each answer; see unanswered
	late  []time.Duration // see Latency.Late99

	unanswered int // entries of took for requests that had no answer at the end

	// ring is a queue of the idle connections, from the one that has been idle longest.
	ring  []*conn
	first int
	count int
}

// run sends the requests that are due in the window.
func (w *schedule) run(e *engine, window time.Duration) error {
	w.began = e.now()
	e.open = w
	for i := range e.conns {
		if c := &e.conns[i]; c.fd >= 0 {
			w.idle(e, c)
		}
	}
	end := w.began + window
	for {
		now := e.now()
		if now >= end {
			return nil
		}
		w.send(e, now)
		until := end
		if w.sent < len(w.due) && w.count > 0 {
			until = min(end, w.began+w.due[w.sent])
		}
		if err := e.poll(until); err != nil {
			return err
		}
	}
}

// finish waits for the missing answers, at most for grace.
func (w *schedule) finish(e *engine, grace time.Duration) error {
	end := e.now() + grace
	for now := e.now(); now < end && len(w.took)+e.failed < len(w.due); now = e.now() {
		w.send(e, now)
		if err := e.poll(end); err != nil {
			return err
		}
	}
	now := e.now() - w.began
	for i := range e.conns {
		if c := &e.conns[i]; c.waits > 0 {
			w.miss(now - w.due[c.due])
		}
	}
	for ; w.sent < len(w.due); w.sent++ {
		w.miss(now - w.due[w.sent])
	}
	return nil
}

// send sends the requests that are due, as long as there are idle connections.
func (w *schedule) send(e *engine, now time.Duration) {
	now -= w.began
	for w.count > 0 && w.sent < len(w.due) && w.due[w.sent] <= now {
		c := w.ring[w.first]
		w.first = (w.first + 1) % len(w.ring)
		w.count--
		c.due = w.sent
		w.sent++
		if at := w.due[c.due]; c.idleSince <= at {
			w.late = append(w.late, now-at)
		}
		e.ask(c)
	}
}

// idle adds an idle connection to the queue.
func (w *schedule) idle(e *engine, c *conn) {
	now := e.now()
	c.idleSince = now - w.began
	w.ring[(w.first+w.count)%len(w.ring)] = c
	w.count++
	w.send(e, now)
}

// answered records how long the answer on a connection took.
func (w *schedule) answered(e *engine, c *conn) {
	w.took = append(w.took, e.now()-w.began-w.due[c.due])
}

// miss records a request without an answer.
func (w *schedule) miss(after time.Duration) {
	w.took = append(w.took, after)
	w.unanswered++
}

// gone removes a connection that is closed from the queue.
func (w *schedule) gone(c *conn) {
	kept := 0
	for i := range w.count {
		if k := w.ring[(w.first+i)%len(w.ring)]; k != c {
			w.ring[(w.first+kept)%len(w.ring)] = k
			kept++
		}
	}
	w.count = kept
}

func (w *schedule) sum(e *engine) Latency {
	slices.Sort(w.took)
	slices.Sort(w.late)
	return Latency{
		Due: len(w.due), Answered: len(w.took) - w.unanswered, Failed: e.failed, Failure: e.failure, Reconnects: e.reconnects,
		P50: quantile.Of(w.took, 0.5), P99: quantile.Of(w.took, 0.99), P999: quantile.Of(w.took, 0.999), Max: quantile.Of(w.took, 1),
		Late99: quantile.Of(w.late, 0.99), Late999: quantile.Of(w.late, 0.999),
	}
}
