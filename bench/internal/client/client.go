// Package client asks an HTTP/1.1 server for one thing again and again, and
// measures how much it answers and how fast. It costs less than the servers that
// it measures: one thread, non-blocking sockets and epoll(7), nothing allocated
// for a request, and no more of HTTP than needed to tell a right answer from a
// wrong one.
//
//   - [Closed]: each connection asks again as soon as it is answered.
//   - [Open]: requests are due at times that do not depend on the answers, and
//     how long an answer took is counted from then. A server that stalls pays for
//     all requests that it kept waiting (no "coordinated omission").
//   - [Hold]: connections on which nothing happens.
//
// What is wrong is a failed request, and the connection is replaced: no answer,
// one that is no HTTP, another status, another length of the body, or, in the
// first answer on each connection, other bytes. Every window ends on time.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// An Exchange is a request and its answer.
type Exchange struct {
	Request []byte // all of it, to be sent as it is
	Status  int
	Body    []byte // none with the statuses 204 and 304
}

// Options are what a window is made of.
type Options struct {
	Addr     string // IPv4 address and port of the server
	Exchange Exchange
	// Connections are how many there are, and so the most requests that are under
	// way if they aren't pipelined.
	Connections int
	// Pipelined are how many requests are sent at once on a connection; the next
	// ones follow when all of them are answered. 0 is 1.
	Pipelined int
	// NewConnections opens one for each request. The request should ask for it to
	// be closed; when the answer is complete, the client resets it (SO_LINGER of 0),
	// so that neither side keeps the port for a minute (TIME-WAIT, RFC 9293,
	// section 3.6.1) and ports don't run out.
	NewConnections bool
	// Lead is how long the requests are sent before the window, in a closed loop,
	// so that the server has set up the connections; it does not count.
	Lead   time.Duration
	Window time.Duration
	// Patience is how long the requests may take that are under way when the lead
	// of an open loop, or the window of a closed one, ends; those that take longer
	// have failed. 0 is 10 seconds.
	Patience time.Duration
	// Spin asks for news all the time instead of sleeping until there are any. It
	// is for a client that has a CPU to itself: it is not late then, and the server
	// does not spend time on waking it.
	Spin bool
	// CPU returns what the server has used of the processor so far. It is asked
	// when the window begins and ends. It may be nil.
	CPU func() (time.Duration, error)
}

const (
	maxConnections = 1 << 16
	maxPipelined   = 1 << 10
	// patience is Options.Patience where that is 0.
	patience = 10 * time.Second
)

func (o *Options) check() (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(o.Addr)
	switch {
	case err != nil:
		return addr, fmt.Errorf("the server's address: %w", err)
	case !addr.Addr().Is4():
		return addr, fmt.Errorf("the server's address is %s: the client speaks IPv4 only", addr)
	case o.Connections < 1 || o.Connections > maxConnections:
		return addr, fmt.Errorf("%d connections: there must be 1 to %d", o.Connections, maxConnections)
	case o.Pipelined < 0 || o.Pipelined > maxPipelined:
		return addr, fmt.Errorf("%d pipelined requests: there may be 1 to %d", o.Pipelined, maxPipelined)
	case o.Pipelined > 1 && o.NewConnections:
		return addr, errors.New("requests on new connections can't be pipelined")
	case o.Window <= 0:
		return addr, fmt.Errorf("a window of %v: it must be longer than 0", o.Window)
	case len(o.Exchange.Request) == 0:
		return addr, errors.New("there is no request to send")
	}
	return addr, nil
}

// A Result is what a closed loop found.
type Result struct {
	// Requests that ended in the window, and all that failed, also before and
	// shortly after it.
	Requests int
	Failed   int // of these
	Failure  string
	Seconds  float64       // of the window, as long as it really was
	CPU      time.Duration // that the server used in it
	// Reconnects are how often a connection was replaced that the server had
	// closed after an answer, which is no failure.
	Reconnects int
	// Busy is the share of the window in which a client that spins had something to
	// do. Near 1 the client is at its limit, and not the server.
	Busy float64
}

// Closed lets each connection ask again as soon as it is answered.
func Closed(ctx context.Context, o Options) (Result, error) {
	e, err := newEngine(ctx, &o)
	if err != nil {
		return Result{}, err
	}
	defer e.close()
	release := e.begin()
	defer release()
	e.dialAll()
	if err := e.run(e.now() + o.Lead); err != nil {
		return Result{}, err
	}
	e.answers, e.nothing = 0, 0
	used, err := o.used()
	if err != nil {
		return Result{}, err
	}
	began := e.now()
	if err := e.run(began + o.Window); err != nil {
		return Result{}, err
	}
	answered, took, busy := e.answers, e.now()-began, 0.0
	if o.Spin {
		busy = 1 - e.nothing.Seconds()/took.Seconds()
	}
	after, err := o.used()
	if err != nil {
		return Result{}, err
	}
	// Whoever hasn't answered is not overlooked.
	if err := e.settle(o.patience()); err != nil {
		return Result{}, err
	}
	e.abandon("not answered within %v after the window", o.patience())
	return Result{
		Requests: answered + e.failed, Failed: e.failed, Failure: e.failure,
		Seconds: took.Seconds(), CPU: after - used, Reconnects: e.reconnects, Busy: busy,
	}, nil
}

func (o *Options) patience() time.Duration { return cmp.Or(o.Patience, patience) }

func (o *Options) used() (time.Duration, error) {
	if o.CPU == nil {
		return 0, nil
	}
	d, err := o.CPU()
	if err != nil {
		return 0, fmt.Errorf("the server's CPU time: %w", err)
	}
	return d, nil
}
