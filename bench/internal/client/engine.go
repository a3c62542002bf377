package client

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// retryPause is how long a connection stays away that has failed.
	retryPause = 10 * time.Millisecond
	// nap is the longest sleep between two looks at the context.
	nap = 50 * time.Millisecond
	// bufferSize is the most that is read at once.
	bufferSize = 256 << 10
)

// An engine is the connections, and what is done on them.
type engine struct {
	o    *Options
	addr *unix.SockaddrInet4
	done <-chan struct{}
	ctx  context.Context

	ep     int
	events []unix.EpollEvent
	buf    []byte
	batch  []byte // the requests that are sent at once
	conns  []conn
	down   int // connections that are not there, to be opened at retry
	retry  time.Duration

	epoch time.Time
	// stopped is that no connection asks again by itself.
	stopped bool
	open    *schedule // of an open loop that has begun, else nil

	waiting    int // requests that were sent, or are being sent
	answers    int
	failed     int
	failure    string // the first
	reconnects int
	nothing    time.Duration // spent on looking for news when there were none
	quiet      bool          // the last poll found none
}

// A conn is one connection. It is down, or idle, or has requests under way.
type conn struct {
	parser
	number int
	fd     int    // -1: down
	out    []byte // what is still to be sent
	writes bool   // epoll tells when more can be
	waits  int    // answers that are still to come

	due       int           // open loop: the number of the request
	idleSince time.Duration // open loop
}

func newEngine(ctx context.Context, o *Options) (*engine, error) {
	addr, err := o.check()
	if err != nil {
		return nil, err
	}
	if err := AllowFiles(o.Connections); err != nil {
		return nil, err
	}
	e := &engine{
		o: o, ctx: ctx, done: ctx.Done(), addr: sockaddr(addr), epoch: time.Now(),
		events: make([]unix.EpollEvent, min(o.Connections, 1024)), buf: make([]byte, bufferSize),
		conns: make([]conn, o.Connections),
	}
	for range max(1, o.Pipelined) {
		e.batch = append(e.batch, o.Exchange.Request...)
	}
	for i := range e.conns {
		c := &e.conns[i]
		c.number, c.fd, c.want = i, -1, &o.Exchange
	}
	if e.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return e, nil
}

// begin keeps the garbage collector away, which has nothing to do meanwhile, and
// the calling goroutine on one thread, until the returned function is called.
func (e *engine) begin() (release func()) {
	runtime.LockOSThread()
	runtime.GC()
	percent := debug.SetGCPercent(-1)
	return func() {
		debug.SetGCPercent(percent)
		runtime.UnlockOSThread()
	}
}

func (e *engine) close() {
	for i := range e.conns {
		if fd := e.conns[i].fd; fd >= 0 {
			_ = unix.Close(fd) // nothing is lost by it
		}
	}
	_ = unix.Close(e.ep) // the same
}

// now is the time since the engine was made.
func (e *engine) now() time.Duration { return time.Since(e.epoch) }

// dialAll opens all connections; each asks at once unless the engine is stopped.
func (e *engine) dialAll() {
	for i := range e.conns {
		e.dial(&e.conns[i])
	}
}

// dial opens the connection.
func (e *engine) dial(c *conn) {
	fd, err := connect(e.addr, e.o.NewConnections)
	if err == nil {
		if err = watch(e.ep, unix.EPOLL_CTL_ADD, fd, c.number, unix.EPOLLIN); err != nil {
			_ = unix.Close(fd) // it was not used
		}
	}
	if err != nil {
		e.down++
		e.retry = e.now() + retryPause
		e.fail(1, fmt.Errorf("connect: %w", err))
		return
	}
	c.fd = fd
	c.reset()
	e.idle(c)
}

// idle lets a connection on which nothing is under way do what is next.
func (e *engine) idle(c *conn) {
	switch {
	case e.open != nil:
		e.open.idle(e, c)
	case !e.stopped:
		e.ask(c)
	}
}

// ask sends a batch of requests.
func (e *engine) ask(c *conn) {
	c.waits = max(1, e.o.Pipelined)
	e.waiting += c.waits
	c.out = e.batch
	e.flush(c)
}

// flush sends what it can.
func (e *engine) flush(c *conn) {
	for len(c.out) > 0 {
		n, errno := send(c.fd, c.out)
		switch errno {
		case 0:
			c.out = c.out[n:]
		case unix.EINTR:
		case unix.EAGAIN: // not connected yet, or the server doesn't read
			if !c.writes {
				e.arm(c, true)
			}
			return
		default:
			e.lose(c, fmt.Errorf("send: %w", errno))
			return
		}
	}
	if c.writes {
		e.arm(c, false)
	}
}

func (e *engine) arm(c *conn, writes bool) {
	events := uint32(unix.EPOLLIN)
	if writes {
		events |= unix.EPOLLOUT
	}
	c.writes = writes
	if err := watch(e.ep, unix.EPOLL_CTL_MOD, c.fd, c.number, events); err != nil {
		e.lose(c, err)
	}
}

// receive reads once.
func (e *engine) receive(c *conn) {
	n, errno := read(c.fd, e.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		e.lose(c, fmt.Errorf("read: %w", errno))
		return
	case n == 0:
		e.lose(c, errClosed)
		return
	}
	answers, err := c.feed(e.buf[:n])
	if err == nil && answers > c.waits {
		answers, err = c.waits, errUnasked
	}
	if answers > 0 {
		c.waits -= answers
		e.waiting -= answers
		e.answers += answers
		if e.open != nil {
			e.open.answered(e, c)
		}
	}
	switch {
	case err != nil:
		e.lose(c, err)
	case answers == 0:
		if c.waits == 0 {
			e.lose(c, errUnasked)
		}
	case e.o.NewConnections && c.waits == 0 && e.open == nil:
		e.hangUp(c)
		if !e.stopped {
			e.dial(c)
		}
	case c.closes:
		// The server says so, and answers nothing that was sent after it.
		if c.waits > 0 {
			e.lose(c, errClosed)
			return
		}
		e.reconnects++
		e.hangUp(c)
		e.dial(c)
	case c.waits == 0:
		e.idle(c)
	}
}

type failure string

func (f failure) Error() string { return string(f) }

const (
	errClosed  failure = "the server closed the connection before it had answered"
	errUnasked failure = "the server sent what nothing was asked for"
)

// lose gives a connection up: what was under way on it has failed. It is opened
// again after a pause. A server may close a connection on which nothing is under
// way (RFC 9112, section 9.8).
func (e *engine) lose(c *conn, err error) {
	waits := c.waits
	if waits == 0 && err == errUnasked { //nolint:errorlint // a constant of this package, not wrapped
		waits = 1
	}
	if waits > 0 {
		e.fail(waits, err)
	} else {
		e.reconnects++
	}
	e.hangUp(c)
	e.down++
	e.retry = e.now() + retryPause
}

// hangUp closes the connection.
func (e *engine) hangUp(c *conn) {
	if e.open != nil {
		e.open.gone(c)
	}
	_ = unix.Close(c.fd) // nothing is lost by it
	e.waiting -= c.waits
	c.fd, c.waits, c.out, c.writes = -1, 0, nil, false
}

func (e *engine) fail(n int, err error) {
	e.failed += n
	if e.failure == "" {
		e.failure = err.Error()
	}
}

// abandon counts what is under way as failed.
func (e *engine) abandon(format string, args ...any) {
	if e.waiting > 0 {
		e.fail(e.waiting, fmt.Errorf(format, args...))
	}
}

// poll takes what there is to read and write, waiting for it no longer than until
// then if it may wait at all.
func (e *engine) poll(until time.Duration) error {
	var n int
	var errno unix.Errno
	if e.o.Spin {
		n, errno = look(e.ep, e.events)
	} else {
		pause := min(until-e.now(), nap)
		if e.down > 0 {
			pause = min(pause, retryPause)
		}
		n, errno = wait(e.ep, e.events, pause)
	}
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("epoll_pwait2: %w", errno)
	}
	e.quiet = errno == 0 && n == 0
	if errno == 0 {
		for _, ev := range e.events[:n] {
			c := &e.conns[ev.Fd]
			if ev.Events&unix.EPOLLOUT != 0 && c.fd >= 0 {
				e.flush(c)
			}
			if ev.Events&^uint32(unix.EPOLLOUT) != 0 && c.fd >= 0 {
				e.receive(c)
			}
		}
	}
	select {
	case <-e.done:
		return context.Cause(e.ctx)
	default:
	}
	if e.down > 0 && e.now() >= e.retry {
		e.redial()
	}
	return nil
}

// redial opens the connections that are down.
func (e *engine) redial() {
	e.down = 0
	for i := range e.conns {
		if e.conns[i].fd < 0 {
			e.dial(&e.conns[i])
		}
	}
}

// run goes on until then.
func (e *engine) run(until time.Duration) error {
	for at := e.now(); at < until; {
		if err := e.poll(until); err != nil {
			return err
		}
		now := e.now()
		if e.quiet {
			e.nothing += now - at
		}
		at = now
	}
	return nil
}

// settle asks no more and waits for the answers that are due, that long at most.
func (e *engine) settle(timeout time.Duration) error {
	e.stopped = true
	until := e.now() + timeout
	for e.waiting > 0 && e.now() < until {
		if err := e.poll(until); err != nil {
			return err
		}
	}
	return nil
}
