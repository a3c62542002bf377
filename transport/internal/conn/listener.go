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
	"runtime"
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
	emptying        // accepts the connections in the queue, then ends
)

const (
	// handshakeTime is the time for TCP handshakes under way to be completed, when new
	// ones are ignored already.
	handshakeTime = 200 * time.Millisecond
	// emptyWait is how long no connection must come for the accept queue to count as
	// empty.
	emptyWait = 20 * time.Millisecond
	// toldEveryPause is the least time between two log lines that no connection can be
	// accepted.
	toldEveryPause = time.Minute
)

// Limits bounds what clients can use of a Listener.
type Limits struct {
	ReadTimeout    time.Duration // for a whole request, from its first byte
	WriteTimeout   time.Duration // for a response
	IdleTimeout    time.Duration // of a connection between two requests
	MaxConnections int
	// MaxAge is the age, give or take a tenth, after which the next response of a
	// connection is its last. Zero means no limit.
	MaxAge time.Duration
}

// TLS configures TLS on a port.
type TLS struct {
	// Config returns the configuration of the next handshake.
	Config func() *tls.Config
	// Failed is called for each handshake that fails. Any client can cause that.
	Failed func(client net.Addr, err error)
}

// Options configure a Listener.
type Options struct {
	Limits Limits
	TLS    *TLS // nil: plain HTTP
	// Serve serves a connection that comes out of the idle set. nil: there is no idle
	// set.
	Serve func(net.Conn)
	// Reject writes the response for a connection over the limit.
	Reject func(w io.Writer, r Rejection) error
	// Answer answers a request without the server, if it can do so at once. nil: there is
	// no event loop. See Answer for what it must do.
	Answer Answer
	Log    *zap.Logger
}

// A Listener accepts connections up to a limit, and keeps a list of the open ones for the
// drain.
type Listener struct {
	socket         net.Listener
	log            *zap.Logger
	limits         Limits
	writeRejection func(io.Writer, Rejection) error
	serve          func(net.Conn)
	answer         Answer
	loops          *loops // nil: there is no event loop
	tls            *TLS

	phase     atomic.Int32
	emptied   chan struct{} // closed when the accept queue was found empty
	rejecting chan struct{} // one token for each rejection under way
	rejected  atomic.Uint64
	rejectors sync.WaitGroup
	freed     chan struct{} // has a token when a connection has ended

	// hurry is set when the time for the drain is almost over. From then on pipelined
	// requests don't keep a connection open.
	hurry atomic.Bool

	// served is how many connections the server has, without those in the idle set; crowded
	// is set while that is more than manyServed, see idle_set.go.
	served  atomic.Int64
	crowded atomic.Bool
	made    atomic.Int64 // bytes of bodies that were made for one request; see body.go

	mu   sync.Mutex
	list Conn // head of the ring of open connections
	open int
}

// Listen opens a socket on addr, for New. It switches Multipath TCP off, which does not
// allow the socket filter that the drain attaches (EOPNOTSUPP).
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w; choose another address", addr, err)
	}
	tcp := l.(*net.TCPListener)
	if err := boundUnsent(tcp); err != nil {
		tcp.Close() //nolint:errcheck // no client has connected yet
		return nil, fmt.Errorf("can't bound what the kernel keeps for connections of %s: %w", addr, err)
	}
	return tcp, nil
}

// New returns a Listener that accepts connections from socket, which comes from Listen or
// elsewhere. If it is not a *net.TCPListener, the drain closes it at once, and
// connections in its queue may be lost.
func New(socket net.Listener, o Options) *Listener {
	return newWith(socket, o, runtime.GOMAXPROCS(0))
}

// newWith is New with this number of event loops, if there are any.
func newWith(socket net.Listener, o Options, loops int) *Listener {
	rejecting := MaxRejecting
	if o.TLS != nil {
		rejecting = maxRejectingTLS
	}
	l := &Listener{socket: socket, log: o.Log, limits: o.Limits, writeRejection: o.Reject, serve: o.Serve, tls: o.TLS,
		emptied: make(chan struct{}), rejecting: make(chan struct{}, rejecting), freed: make(chan struct{}, 1)}
	l.list.prev, l.list.next = &l.list, &l.list
	if o.Answer != nil && o.TLS == nil && o.Serve != nil {
		l.answer = o.Answer
		var err error
		if l.loops, err = newLoops(l, loops); err != nil {
			o.Log.Debug("There is no event loop; each connection has a goroutine", zap.Error(err))
		}
	}
	return l
}

// Accept returns the next connection below the limit. When the listener is being closed
// and its queue is empty, it returns io.EOF.
func (l *Listener) Accept() (net.Conn, error) {
	if l.loops != nil {
		l.loops.start()
		<-l.emptied
		return nil, io.EOF
	}
	pause := 5 * time.Millisecond
	var told time.Time
	for {
		last := l.phase.Load() == emptying
		if last && l.isTCP() {
			// Set just before the accept, so that the queue is looked at least once.
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
			// This may be for want of file descriptors, for example. It passes, so it
			// must not end the listener.
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
	l.setAge(c, accepted)
	for !l.place(c) {
		select {
		case l.rejecting <- struct{}{}:
			l.rejected.Add(1)
			l.rejectors.Go(func() {
				defer func() { <-l.rejecting }()
				l.reject(nc)
			})
			return nil, false
		case <-l.freed: // there may be room now
		}
	}
	l.takeUp()
	return c, true
}

// setAge sets when the connection is too old.
func (l *Listener) setAge(c *Conn, accepted instant) {
	if age := l.limits.MaxAge; age > 0 {
		// The age varies by 10 % either way, so that connections that were opened
		// together, as after a restart, are not closed together.
		c.ending.expires = accepted.add(time.Duration(float64(age) * (0.9 + 0.2*rand.Float64()))) // #nosec G404 -- jitter
	}
}

// place adds c to the list, and reports whether there was room below the limit.
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
		l.putAside()
	}
	l.mu.Lock()
	c.prev.next, c.next.prev = c.next, c.prev
	c.prev, c.next = c, c
	l.open--
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default: // there is a token already
	}
}

// each calls f for each open connection. f must not block.
func (l *Listener) each(f func(*Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := l.list.next; c != &l.list; c = c.next {
		f(c)
	}
}

// Count returns the number of open connections, and of those with a request in flight.
func (l *Listener) Count() (open, inFlight int) {
	l.each(func(c *Conn) {
		open++
		if c.idle.state.Load() == active {
			inFlight++
		}
	})
	return open, inFlight
}

// Open returns the number of open connections.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Rejected returns how many connections have been over the limit so far.
func (l *Listener) Rejected() uint64 { return l.rejected.Load() }

// shut closes the listener once its accept queue is empty, so that no client gets a reset
// whose connection the kernel has accepted already.
func (l *Listener) shut() {
	if !l.isTCP() {
		// Not a TCP listener: it has no queue that could be emptied here.
		l.phase.Store(emptying)
		l.Close() //nolint:errcheck // makes Accept return
		<-l.emptied
		return
	}
	if err := l.refuseNew(); err != nil {
		l.log.Debug("The socket filter can't be attached; closing the listener when its queue is empty", zap.Error(err))
	} else {
		time.Sleep(handshakeTime)
	}
	l.phase.Store(emptying)
	l.setDeadline(past) // makes Accept return
	l.loops.wake()
	<-l.emptied
	l.Close() //nolint:errcheck // closing twice is harmless
	l.rejectors.Wait()
}

func (l *Listener) isTCP() bool {
	_, ok := l.socket.(*net.TCPListener)
	return ok
}

// setDeadline sets the deadline of Accept, unless the listener is closed.
func (l *Listener) setDeadline(t time.Time) {
	l.socket.(*net.TCPListener).SetDeadline(t) //nolint:errcheck // as above
}

// refuseNew makes the kernel ignore new connection attempts.
func (l *Listener) refuseNew() error {
	if l.loops != nil {
		return l.loops.refuseNew()
	}
	return refuseNewConnections(l.socket.(*net.TCPListener))
}

// Close closes the socket at once.
func (l *Listener) Close() error {
	if l.loops != nil {
		return l.loops.closeSocket()
	}
	return l.socket.Close()
}

// Addr returns the address that clients connect to.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }
