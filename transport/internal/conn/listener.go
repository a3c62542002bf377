package conn

import (
	"context"
	"crypto/tls"
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
	// toldEveryPause is how often the log says that no connection can be accepted.
	toldEveryPause = time.Minute
)

// Limits bound what clients can take.
type Limits struct {
	ReadTimeout    time.Duration // for a whole request, from its first byte
	WriteTimeout   time.Duration // for a response
	IdleTimeout    time.Duration // between requests of a connection
	MaxConnections int
	// MaxAge is about how old a connection gets, give or take a tenth: its next response
	// is the last. 0: as old as it likes.
	MaxAge time.Duration
}

// TLS is how a port speaks it.
type TLS struct {
	// Config returns what the next handshake offers.
	Config func() *tls.Config
	// Failed is told of each handshake that came to nothing. Any client can bring that
	// about.
	Failed func(client net.Addr, err error)
}

// Options say how a Listener treats its connections.
type Options struct {
	Limits Limits
	TLS    *TLS // nil: plain HTTP
	// Serve serves a connection that was in the idle set. nil: none goes there.
	Serve func(net.Conn)
	// Reject writes the response for a connection over the limit.
	Reject func(w io.Writer, r Rejection) error
	Log    *zap.Logger
}

// A Listener accepts connections up to a limit and keeps the list of those
// that are open, for the drain.
type Listener struct {
	socket net.Listener
	log    *zap.Logger
	limits Limits
	answer func(io.Writer, Rejection) error
	serve  func(net.Conn)
	tls    *TLS

	phase     atomic.Int32
	emptied   chan struct{} // closed when the accept queue was found empty
	rejecting chan struct{} // one slot for each rejection under way
	rejected  atomic.Uint64
	rejectors sync.WaitGroup
	freed     chan struct{} // has something when a connection has ended

	// hurry is set when the drain is about to give up: from then on pipelined
	// requests don't keep a connection open.
	hurry atomic.Bool

	// How many connections the server has, and whether these are so many that those
	// that wait for a request go into the idle set at once; see idle_set.go.
	inside  atomic.Int64
	crowded atomic.Bool
	made    atomic.Int64 // bytes of bodies made for single requests; see body.go

	mu   sync.Mutex
	list Conn // sentinel of the ring of open connections
	open int
}

// Listen opens a socket for New on addr. Multipath TCP is off: it refuses the socket
// filter that the drain attaches (EOPNOTSUPP).
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
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

// New returns a Listener that accepts from a socket: one of Listen, or any other. One that is
// no *net.TCPListener is closed at once by the drain: what queue it has is its own to lose.
func New(socket net.Listener, o Options) *Listener {
	rejecting := MaxRejecting
	if o.TLS != nil {
		rejecting = maxRejectingTLS
	}
	l := &Listener{socket: socket, log: o.Log, limits: o.Limits, answer: o.Reject, serve: o.Serve, tls: o.TLS,
		emptied: make(chan struct{}), rejecting: make(chan struct{}, rejecting), freed: make(chan struct{}, 1)}
	l.list.prev, l.list.next = &l.list, &l.list
	return l
}

// Accept returns the next connection below the limit; io.EOF when the listener
// is being closed and its queue is empty.
func (l *Listener) Accept() (net.Conn, error) {
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

func (l *Listener) admit(nc net.Conn) (*Conn, bool) {
	c := &Conn{Conn: nc, owner: l, in: reading{ahead: ahead{between: true}}}
	if l.tls != nil {
		c.tls.layer = &tlsLayer{settings: l.tls}
	}
	_, c.idle.canEnter = nc.(syscall.Conn)
	c.idle.canEnter = c.idle.canEnter && canWait && l.serve != nil
	accepted := now()
	c.idle.since.Store(int64(accepted))
	if age := l.limits.MaxAge; age > 0 {
		// 10 % of jitter either way, so that connections opened together, as
		// after a restart, are not closed together.
		c.ending.expires = accepted.add(time.Duration(float64(age) * (0.9 + 0.2*rand.Float64()))) // #nosec G404 -- jitter
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
func (l *Listener) place(c *Conn) bool {
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

func (l *Listener) forget(c *Conn) {
	if !c.idle.inSet.Load() {
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
func (l *Listener) each(f func(*Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := l.list.next; c != &l.list; c = c.next {
		f(c)
	}
}

// Count returns how many connections are open and on how many of them a
// request is in flight.
func (l *Listener) Count() (open, inFlight int) {
	l.each(func(c *Conn) {
		open++
		if c.idle.state.Load() == active {
			inFlight++
		}
	})
	return open, inFlight
}

// Open returns how many connections are open.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Rejected returns how many connections were over the limit so far.
func (l *Listener) Rejected() uint64 { return l.rejected.Load() }

// shut closes the listener after its accept queue is empty, so that no client
// is reset that the kernel has already accepted.
func (l *Listener) shut() {
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

func (l *Listener) isTCP() bool {
	_, ok := l.socket.(*net.TCPListener)
	return ok
}

// setDeadline sets that of Accept. A closed listener needs none.
func (l *Listener) setDeadline(t time.Time) {
	l.socket.(*net.TCPListener).SetDeadline(t) //nolint:errcheck // as above
}

// Close closes the socket at once.
func (l *Listener) Close() error { return l.socket.Close() }

// Addr returns the address that clients connect to.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }
