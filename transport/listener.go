package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
)

var noDeadline time.Time

// The phases of a listener.
const (
	accepting int32 = iota
	emptying        // accepts what is queued, then ends
)

const (
	// handshakeTime is given to handshakes under way when new ones are
	// already ignored.
	handshakeTime = 200 * time.Millisecond
	// emptyWait without a connection means that the accept queue is empty.
	emptyWait = 20 * time.Millisecond
	// maxRejecting is how many connections over the limit are told so at once, and
	// maxRejectingTLS how many where that takes a handshake. Those beyond wait to be
	// accepted.
	maxRejecting    = 256
	maxRejectingTLS = 64
	// toldEveryPause is how often the log says that no connection can be accepted.
	toldEveryPause = time.Minute
)

// A listener accepts connections up to a limit and keeps the list of those
// that are open, for the drain.
type listener struct {
	socket net.Listener // a *net.TCPListener, or what Options.Listener is
	log    *zap.Logger
	limits Limits
	reject func(net.Conn) // tells a connection over the limit; closes it
	// serve serves a connection that was in the idle set; nil: none is.
	serve func(net.Conn)
	tls   *serverTLS // nil: plain HTTP

	phase     atomic.Int32
	emptied   chan struct{} // closed when the accept queue was found empty
	rejecting chan struct{} // one slot for each rejection under way
	rejected  atomic.Uint64
	rejectors sync.WaitGroup
	freed     chan struct{} // has something when a connection has ended

	// How many connections fasthttp has, and whether these are so many that those
	// that wait for a request go into the idle set at once; see idle_set.go.
	inside  atomic.Int64
	crowded atomic.Bool
	made    atomic.Int64 // bytes of bodies made for single requests; see body.go

	mu   sync.Mutex
	list conn // sentinel of the ring of open connections
	open int
}

// listen opens a listener on addr. Multipath TCP is off: it refuses the socket
// filter that the drain attaches (EOPNOTSUPP).
func listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w; choose another address", addr, err)
	}
	tcp := l.(*net.TCPListener)
	if err := boundUnsent(tcp); err != nil {
		tcp.Close() //nolint:errcheck // nobody has connected to it
		return nil, fmt.Errorf("can't bound what the kernel keeps for connections of %s: %w", addr, err)
	}
	return tcp, nil
}

func newListener(socket net.Listener, log *zap.Logger, limits Limits, reject func(net.Conn)) *listener {
	l := &listener{socket: socket, log: log, limits: limits, reject: reject,
		emptied: make(chan struct{}), rejecting: make(chan struct{}, maxRejecting), freed: make(chan struct{}, 1)}
	l.list.prev, l.list.next = &l.list, &l.list
	return l
}

// Accept returns the next connection below the limit; io.EOF when the listener
// is being closed and its queue is empty.
func (l *listener) Accept() (net.Conn, error) {
	pause := 5 * time.Millisecond
	var told time.Time
	for {
		last := l.phase.Load() == emptying
		if last && l.isTCP() {
			// Set just before the accept, so that it tries at least once.
			l.setDeadline(time.Now().Add(emptyWait))
		}
		nc, err := l.socket.Accept()
		switch {
		case err == nil:
			if c, ok := l.admit(nc); ok {
				return c, nil
			}
			pause = 5 * time.Millisecond
		case errors.Is(err, os.ErrDeadlineExceeded):
			if last {
				close(l.emptied)
				return nil, io.EOF
			}
		case errors.Is(err, net.ErrClosed) || !l.isTCP():
			if l.phase.Load() == emptying {
				close(l.emptied)
			}
			return nil, io.EOF
		default:
			// Such as too many open files. It passes; giving up would not.
			if time.Since(told) >= toldEveryPause {
				told = time.Now()
				l.log.Warn("Can't accept a connection; trying again", zap.Error(err))
			}
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		}
	}
}

func (l *listener) admit(nc net.Conn) (*conn, bool) {
	c := &conn{Conn: nc, owner: l, ahead: ahead{between: true}}
	if l.tls != nil {
		c.layer = &tlsLayer{settings: l.tls}
	}
	_, c.canIdle = nc.(syscall.Conn)
	c.canIdle = c.canIdle && canWait && l.serve != nil
	accepted := now()
	c.since.Store(int64(accepted))
	if age := l.limits.MaxConnectionAge; age > 0 {
		// 10 % of jitter either way, so that connections opened together, as
		// after a restart, are not closed together.
		c.expires = accepted.add(time.Duration(float64(age) * (0.9 + 0.2*rand.Float64()))) // #nosec G404 -- jitter
	}
	for !l.place(c) {
		select {
		case l.rejecting <- struct{}{}:
			l.rejected.Add(1)
			l.rejectors.Go(func() {
				defer func() { <-l.rejecting }()
				l.reject(nc)
			})
			return nil, false
		case <-l.freed: // perhaps there is a place by now
		}
	}
	l.enters()
	return c, true
}

// place enters c into the list if there is a place below the limit.
func (l *listener) place(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.limits.MaxConnections {
		return false
	}
	l.open++
	c.prev, c.next = l.list.prev, &l.list
	c.prev.next, c.next.prev = c, c
	return true
}

func (l *listener) forget(c *conn) {
	if !c.outside.Load() {
		l.leaves()
	}
	l.mu.Lock()
	c.prev.next, c.next.prev = c.next, c.prev
	c.prev, c.next = c, c
	l.open--
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default: // there is one already
	}
}

// each calls f for every open connection. f must not block.
func (l *listener) each(f func(*conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := l.list.next; c != &l.list; c = c.next {
		f(c)
	}
}

// count returns how many connections are open and on how many of them a
// request is in flight.
func (l *listener) count() (open, inFlight int) {
	l.each(func(c *conn) {
		open++
		if c.state.Load() == active {
			inFlight++
		}
	})
	return open, inFlight
}

// shut closes the listener after its accept queue is empty, so that no client
// is reset that the kernel has already accepted.
func (l *listener) shut() {
	if !l.isTCP() {
		// What queue there may be is not ours to empty.
		l.phase.Store(emptying)
		l.Close() //nolint:errcheck // wakes Accept
		<-l.emptied
		return
	}
	if err := refuseNewConnections(l.socket.(*net.TCPListener)); err != nil {
		l.log.Debug("The socket filter can't be attached; closing the listener when its queue is empty", zap.Error(err))
	} else {
		time.Sleep(handshakeTime)
	}
	l.phase.Store(emptying)
	l.setDeadline(past) // wakes Accept
	<-l.emptied
	l.Close() //nolint:errcheck // closing twice is harmless
	l.rejectors.Wait()
}

func (l *listener) isTCP() bool {
	_, ok := l.socket.(*net.TCPListener)
	return ok
}

// setDeadline sets that of Accept. A closed listener needs none.
func (l *listener) setDeadline(t time.Time) {
	l.socket.(*net.TCPListener).SetDeadline(t) //nolint:errcheck // as above
}

// Close closes the socket at once.
func (l *listener) Close() error { return l.socket.Close() }

// Addr returns the address that clients connect to.
func (l *listener) Addr() net.Addr { return l.socket.Addr() }
