// Package client sends one request to an HTTP/1.1 server again and again and measures how
// many answers it gets and how fast. There are three ways to measure:
//
//   - [Closed]: each connection sends the next request as soon as it has its answer.
//   - [Open]: requests are due at times that do not depend on the answers, and the time of
//     an answer is counted from then. A server that stalls is charged with all requests
//     that had to wait (no "coordinated omission").
//   - [Hold]: idle connections.
//
// The client must need less time than the servers that it measures. So it has one thread,
// non-blocking sockets and epoll(7), does not allocate for a request, and knows just enough
// of HTTP to recognise a right answer.
//
// A request has failed if it has no answer, or an answer that is not HTTP, has another
// status or another length of the body than expected, or, for the first answer on each
// connection, another body. The connection is then replaced. A window ends on time, whatever
// the server does.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// An Exchange is a request and the expected answer.
type Exchange struct {
	Request []byte // the whole request, sent as it is
	Status  int
	Body    []byte // empty with the statuses 204 and 304
}

// Options configure a window, the time during which requests are measured.
type Options struct {
	Addr     string // IPv4 address and port of the server
	Exchange Exchange
	// Connections is the number of connections. Without pipelining it is also the largest
	// number of requests under way.
	Connections int
	// Pipelined is the number of requests that are sent at once on a connection. The next
	// ones follow when all of these are answered. 0 means 1.
	Pipelined int
	// NewConnections opens a connection for each request, which should have Connection:
	// close. After the answer the client resets the connection (SO_LINGER of 0). Otherwise
	// one side would keep the port for a minute (TIME-WAIT, RFC 9293, section 3.6.1), and
	// the ports would run out.
	NewConnections bool
	// Lead is how long requests are sent before the window, in a closed loop, so that the
	// server has set up the connections. They do not count.
	Lead   time.Duration
	Window time.Duration
	// Patience is how long to wait for the answers to requests that are under way when the
	// lead of an open loop or the window of a closed loop ends. Then they have failed. 0
	// means 10 seconds.
	Patience time.Duration
	// Spin polls the connections without a pause instead of sleeping. It is for a client
	// that has a CPU to itself: the client is then never late, and the server spends no
	// time on waking it.
	Spin bool
	// CPU, unless nil, returns the CPU time that the server has used so far. It is called
	// when the window begins and when it ends.
	CPU func() (time.Duration, error)
}

const (
	maxConnections = 1 << 16
	maxPipelined   = 1 << 10
	patience       = 10 * time.Second // default of Options.Patience
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

// A Result is what Closed measured.
type Result struct {
	// Requests is the number of requests that were answered in the window, plus Failed.
	Requests int
	// Failed is the number of requests that failed, including those before the window and
	// shortly after it.
	Failed  int
	Failure string        // the first one
	Seconds float64       // actual length of the window
	CPU     time.Duration // CPU time of the server in the window
	// Reconnects is how often a connection was replaced because the server had closed it
	// while no request was under way. This is not a failure.
	Reconnects int
	// Busy is the share of the window in which a client with Options.Spin had something to
	// do. If it is near 1, the client limits the result and not the server.
	Busy float64
}

// Closed measures a closed loop: each connection sends the next request as soon as it has
// its answer.
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
	// Requests that are never answered must count as failed.
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
