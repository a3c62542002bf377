package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

// A Schedule is when the requests of an open loop are due: as if many clients who
// don't know of each other sent them (a Poisson process).
type Schedule struct {
	Rate float64 // requests per second on average
	Seed uint64  // the same seed makes the same schedule
	// Grace is how long after the window answers may come.
	Grace time.Duration
}

// maxDue bounds the requests of a window, and so the memory for their times: 24
// bytes for each.
const maxDue = 20_000_000

// times returns when requests are due, from the beginning of the window on.
func (s *Schedule) times(window time.Duration) ([]time.Duration, error) {
	expected := s.Rate * window.Seconds()
	if !(s.Rate > 0 && expected >= 1 && expected <= maxDue) { // not a number, too
		return nil, fmt.Errorf("%v requests a second for %v: these must be 1 to %d requests", s.Rate, window, maxDue)
	}
	r := rand.New(rand.NewPCG(s.Seed, 2)) // #nosec G404 -- a sequence that can be had again
	due := make([]time.Duration, 0, int(expected*1.1)+1000)
	for at := r.ExpFloat64() / s.Rate; at < window.Seconds(); at += r.ExpFloat64() / s.Rate {
		due = append(due, time.Duration(at*float64(time.Second)))
	}
	return due, nil
}

// A Latency is what an open loop found. All times are counted from when a request
// was due. Quantiles (nearest rank) are of all requests that did not fail.
type Latency struct {
	Due int
	// Answered are those until the end of the grace. What was neither answered nor
	// has failed by then is in the quantiles as if it had been answered then: at
	// least so long it takes.
	Answered            int
	Failed              int
	Failure             string // the first
	P50, P99, P999, Max time.Duration
	// Late99 and Late999 are how late the client itself was, after the time when a
	// request was due, of those for which a connection was idle. It is in the
	// quantiles above.
	Late99, Late999 time.Duration
	CPU             time.Duration // that the server used in the window
	Reconnects      int
}

// Open sends requests when they are due, each on the connection that has been
// idle for longest; if none is, it waits until one is.
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

// A schedule is an open loop under way.
type schedule struct {
	began time.Duration
	due   []time.Duration // from began on
	sent  int             // requests; those from here on that are due wait for a connection
	took  []time.Duration // of those that are answered
	late  []time.Duration // of those for which a connection was idle when they were due

	unanswered int // of took, to the end of the grace

	ring  []*conn // idle connections, the one that is so for longest first
	first int
	count int
}

// run is the window.
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

// finish waits for the answers that are still to come.
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

// send sends what is due on the connections that are idle.
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

// idle takes a connection that may be asked.
func (w *schedule) idle(e *engine, c *conn) {
	now := e.now()
	c.idleSince = now - w.began
	w.ring[(w.first+w.count)%len(w.ring)] = c
	w.count++
	w.send(e, now)
}

// answered records the answer to what was asked on a connection.
func (w *schedule) answered(e *engine, c *conn) {
	w.took = append(w.took, e.now()-w.began-w.due[c.due])
}

func (w *schedule) miss(after time.Duration) {
	w.took = append(w.took, after)
	w.unanswered++
}

// gone forgets a connection that is closed.
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
		P50: stats.Quantile(w.took, 0.5), P99: stats.Quantile(w.took, 0.99), P999: stats.Quantile(w.took, 0.999), Max: stats.Quantile(w.took, 1),
		Late99: stats.Quantile(w.late, 0.99), Late999: stats.Quantile(w.late, 0.999),
	}
}
