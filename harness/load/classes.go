package load

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/internal/schedule"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// kept sends requests on kept connections. If all are busy, a request that is due
// waits in the channel line. Of the goroutines that receive from it, Go serves the one
// that has waited longest, so the connections take turns.
func (r *run) kept(ctx context.Context, client Client, ch *choice, t *tally) {
	line := make(chan time.Time, client.MaxInFlight)
	var workers sync.WaitGroup
	for range client.Connections {
		workers.Go(func() { r.keepBusy(ctx, client.Class, line, ch, t) })
	}
	r.failed(schedule.Run(ctx, r.begin, client.Rate, func(_ int, due time.Time) {
		select {
		case line <- due:
		default:
			t.skipped.Add(1)
		}
	}))
	close(line)
	workers.Wait()
}

// keepBusy sends requests on one kept connection, and dials again when it is lost.
func (r *run) keepBusy(ctx context.Context, class record.Class, line <-chan time.Time, ch *choice, t *tally) {
	var c *connection
	var free time.Time // when the last request ended
	for due := range line {
		if r.tooLate() {
			t.skipped.Add(1)
			continue
		}
		var req *record.Request
		c, req = r.serve(ctx, class, c, &job{message: ch.next(), due: due}, t)
		if req == nil {
			continue
		}
		// While the connection was busy, the request waited for the server. Only the
		// rest of the delay is the generator's own.
		if free.After(due) {
			due = free
		}
		t.late.Add(req.Sent.Sub(due))
		free = req.End
	}
	if c != nil {
		hangUp(c)
	}
}

// fresh dials for each request.
func (r *run) fresh(ctx context.Context, client Client, ch *choice, t *tally) {
	r.each(ctx, client, t, func(i int, due time.Time) {
		// Half of them ask the server to close, the others close by themselves.
		c, req := r.serve(ctx, record.New, nil, &job{message: ch.next(), due: due, hangUp: i%2 == 0}, t)
		if req == nil {
			return
		}
		t.late.Add(req.Sent.Sub(due))
		if c != nil {
			hangUp(c)
		}
	})
}

// slow sends requests that take long, in turn on new and on kept connections. Before it
// sends on one of these, it looks whether that is closed: what it loses is lost in flight.
func (r *run) slow(ctx context.Context, client Client, ch *choice, t *tally) {
	var kept idle
	r.each(ctx, client, t, func(i int, due time.Time) {
		j := &job{message: ch.next(), due: due, duration: durationOf(i, client.Duration), hangUp: i%4 == 0}
		keep := i%2 == 1
		var c *connection
		if keep {
			c = kept.take()
		}
		c, req := r.serve(ctx, record.Slow, c, j, t)
		if req == nil {
			return
		}
		t.late.Add(req.Sent.Sub(due))
		if !req.Failed() && req.End.Sub(req.Sent) < j.duration {
			t.early.Add(1)
		}
		switch {
		case c == nil:
		case keep:
			kept.put(c)
		default:
			hangUp(c)
		}
	})
	for c := kept.take(); c != nil; c = kept.take() {
		hangUp(c)
	}
}

// durationOf returns the duration of the i-th slow request. The fractional parts of the
// golden ratio's multiples are spread evenly from shortest to longest, however many
// there are.
func durationOf(i int, longest time.Duration) time.Duration {
	_, part := math.Modf(float64(i) / math.Phi)
	return (shortest + time.Duration(part*float64(longest-shortest))).Truncate(time.Millisecond)
}

// each runs one for every request that is due, in its own goroutine, until ctx ends and
// all have returned. Requests beyond client.MaxInFlight are skipped.
func (r *run) each(ctx context.Context, client Client, t *tally, one func(i int, due time.Time)) {
	var flying atomic.Int64
	var all sync.WaitGroup
	r.failed(schedule.Run(ctx, r.begin, client.Rate, func(i int, due time.Time) {
		if flying.Load() >= int64(client.MaxInFlight) {
			t.skipped.Add(1)
			return
		}
		flying.Add(1)
		all.Go(func() {
			defer flying.Add(-1)
			one(i, due)
		})
	}))
	all.Wait()
}

// idle holds connections that wait for their next request, first in, first out.
type idle struct {
	mu    sync.Mutex
	conns []*connection
}

func (p *idle) put(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

func (p *idle) take() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) == 0 {
		return nil
	}
	c := p.conns[0]
	p.conns = append(p.conns[:0], p.conns[1:]...)
	return c
}
