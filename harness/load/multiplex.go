package load

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/rpc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// A channel is a connection that carries several requests at a time.
type channel interface {
	// exchange sends a request and records in q what became of it. It returns true if the
	// server did not process the request, so that it may be sent again on another
	// connection.
	exchange(ctx context.Context, j *job, q *record.Request) (again bool)
	// usable reports whether another request can be sent.
	usable() bool
	// retire lets the requests that are under way end, and then closes the connection.
	retire()
	close()
}

// maxAgain bounds how often a request is sent again that the server did not process.
const maxAgain = 5

// keptBySlow is how many connections slow clients keep.
const keptBySlow = 8

// multiplexes reports whether a connection carries several requests at a time.
func (r *run) multiplexes() bool { return r.Protocol == record.HTTP2 || r.Protocol == record.GRPC }

// multiplexed sends the load of a class on connections that carry several requests at a
// time.
func (r *run) multiplexed(ctx context.Context, client Client, ch *choice, t *tally) {
	switch client.Class {
	case record.New:
		r.each(ctx, client, t, func(_ int, due time.Time) {
			r.carry(ctx, record.New, &job{message: ch.next(), due: due}, t, nil)
		})
	case record.Slow:
		kept := newShares(keptBySlow)
		defer kept.close()
		r.each(ctx, client, t, func(i int, due time.Time) {
			from := kept
			if i%2 == 0 {
				from = nil
			}
			j := &job{message: ch.next(), due: due, duration: durationOf(i, client.Duration)}
			if q := r.carry(ctx, record.Slow, j, t, from); !q.Failed() && q.End.Sub(q.Sent) < j.duration {
				t.early.Add(1)
			}
		})
	case record.Stream:
		r.channelStreams(ctx, client, ch, t)
	default:
		kept := newShares(client.Connections)
		defer kept.close()
		r.each(ctx, client, t, func(_ int, due time.Time) {
			r.carry(ctx, client.Class, &job{message: ch.next(), due: due}, t, kept)
		})
	}
}

// carry sends a request on a kept connection, or on a new one if kept is nil, and
// reports the outcome.
func (r *run) carry(ctx context.Context, class record.Class, j *job, t *tally, kept *shares) *record.Request {
	q := &record.Request{Class: class, Protocol: r.Protocol, Due: j.due, Sent: time.Now(), Method: j.Method, Path: j.path(j.duration)}
	t.late.Add(q.Sent.Sub(j.due))
	// A request that is in flight when ctx ends is still finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.DialTimeout+j.duration+2*r.ResponseTimeout) // of the handshake, and of the response
	defer cancel()
	for {
		s := r.channelFor(ctx, q, t, kept)
		if s == nil {
			r.report(q, t, nil)
			return q
		}
		again := s.use(ctx, j, q)
		if kept == nil {
			s.close()
		}
		if !again || q.Again == maxAgain {
			if q.Failed() {
				q.Local = s.local
			}
			r.report(q, t, nil)
			return q
		}
		sendAgain(q)
		kept = nil // a new connection, as the one that refused may still take requests
	}
}

// sendAgain prepares the record of a request for another connection: what was said of the
// one before is not of it.
func sendAgain(q *record.Request) {
	q.Again++
	q.Outcome, q.Detail, q.Status = "", "", 0
	q.Pod, q.Inferred, q.ConnectionUse, q.ConnectionAge = "", false, 0, 0
}

// channelFor returns the connection for a request. If it can't be had, q has the
// outcome, and the result is nil.
func (r *run) channelFor(ctx context.Context, q *record.Request, t *tally, kept *shares) *share {
	if kept == nil {
		return r.openChannel(ctx, q, t)
	}
	return kept.next().take(q, func(q *record.Request) *share { return r.openChannel(ctx, q, t) })
}

// openChannel dials.
func (r *run) openChannel(ctx context.Context, q *record.Request, t *tally) *share {
	c := r.dialConn(ctx, q, t)
	if c == nil {
		return nil
	}
	channel, err := r.newChannel(c)
	if err != nil {
		q.End, q.Outcome, q.Detail = time.Now(), record.DialFailed, err.Error()
		return nil
	}
	return &share{channel: channel, opened: q.Sent, local: c.LocalAddr().String()}
}

// dialConn dials for a protocol that is not the raw wire. The result may be closed more
// than once.
func (r *run) dialConn(ctx context.Context, q *record.Request, t *tally) net.Conn {
	c, err := r.dial(ctx, q, t)
	if c == nil || err != nil {
		return nil
	}
	return &closeOnce{Conn: c}
}

// closeOnce is a connection that is closed once, however many find that it is over.
type closeOnce struct {
	net.Conn
	once sync.Once
	err  error
}

func (c *closeOnce) Close() error {
	c.once.Do(func() { c.err = c.Conn.Close() })
	return c.err
}

func (r *run) newChannel(conn net.Conn) (channel, error) {
	if r.Protocol == record.HTTP2 {
		return newH2Channel(conn, r), nil
	}
	c, err := rpc.New(conn, r.Host, r.TLS != nil)
	return &grpcChannel{Conn: c, run: r}, err
}

// A share is a channel that several requests use.
type share struct {
	channel
	opened time.Time
	local  string
	uses   atomic.Int64
	pod    atomic.Pointer[string] // that answered on it
}

// use sends a request on the connection.
func (s *share) use(ctx context.Context, j *job, q *record.Request) (again bool) {
	if n := s.uses.Add(1) - 1; n > 0 {
		q.ConnectionUse, q.ConnectionAge = int(n), max(0, q.Sent.Sub(s.opened))
	}
	again = s.exchange(ctx, j, q)
	s.attribute(q)
	return again
}

// attribute completes the pod of a request: a connection leads to one pod only.
func (s *share) attribute(q *record.Request) {
	if q.Pod != "" {
		pod := q.Pod
		s.pod.Store(&pod)
	} else if pod := s.pod.Load(); pod != nil {
		q.Pod, q.Inferred = *pod, true
	}
}

// shares are kept connections, which are used in turn.
type shares struct {
	slots []slot
	turn  atomic.Uint64
}

func newShares(n int) *shares { return &shares{slots: make([]slot, n)} }

func (s *shares) next() *slot { return &s.slots[s.turn.Add(1)%uint64(len(s.slots))] }

func (s *shares) close() {
	for i := range s.slots {
		if c := s.slots[i].share; c != nil {
			c.close()
		}
	}
}

// A slot has one kept connection.
type slot struct {
	mu      sync.Mutex
	share   *share
	dialing *dialing
}

// A dialing is a dial in progress, for whose result all wait that need the connection.
type dialing struct {
	done  chan struct{}
	share *share         // nil if it failed
	q     record.Request // the outcome of a failure
}

// take returns the slot's connection. If that takes no more requests, open makes
// another.
func (s *slot) take(q *record.Request, open func(*record.Request) *share) *share {
	s.mu.Lock()
	if s.share != nil && s.share.usable() {
		defer s.mu.Unlock()
		return s.share
	}
	if d := s.dialing; d != nil {
		s.mu.Unlock()
		<-d.done
		if d.share == nil {
			q.Outcome, q.Detail = d.q.Outcome, d.q.Detail
			if !d.q.End.IsZero() { // else there was no source port
				q.End = time.Now()
			}
		}
		return d.share
	}
	d := &dialing{done: make(chan struct{})}
	old := s.share
	s.dialing, s.share = d, nil
	s.mu.Unlock()
	if old != nil {
		old.retire()
	}
	d.share = open(q)
	d.q = *q
	close(d.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialing, s.share = nil, d.share
	return d.share
}
