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
	// retryPause is how long after a failure a connection is opened again.
	retryPause = 10 * time.Millisecond
	// nap is the longest sleep before the context is checked again.
	nap = 50 * time.Millisecond
	// bufferSize is the largest number of bytes that are read at once.
	bufferSize = 256 << 10
)

// An engine owns the connections and sends and receives on them. It is not safe for
// concurrent use.
type engine struct {
	o    *Options
	addr *unix.SockaddrInet4
	done <-chan struct{}
	ctx  context.Context

	ep     int
	events []unix.EpollEvent
	buf    []byte
	batch  []byte // Options.Pipelined requests, which are sent at once
	conns  []conn
	down   int           // number of connections that are closed
	retry  time.Duration // when these are opened again

	epoch time.Time
	// stopped is set when a connection that has its answer sends no further request.
	stopped bool
	open    *schedule // in the window of an open loop, otherwise nil

	waiting    int // requests under way, including those not completely sent yet
	answers    int
	failed     int
	failure    string // the first one
	reconnects int
	nothing    time.Duration // total time of polls that found no event
	quiet      bool          // the last poll found no event
}

// A conn is one connection. It is down, or idle, or has requests under way.
type conn struct {
	parser
	number int    // index in engine.conns
	fd     int    // -1 if down
	out    []byte // bytes that are still to be sent
	writes bool   // epoll reports when out can be sent
	waits  int    // number of answers that are still missing

	due       int           // in an open loop, the number of the request in the schedule
	idleSince time.Duration // in an open loop, from the beginning of the window
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

// begin turns the garbage collector off, which would only disturb, and locks the calling
// goroutine to its thread, until the returned function is called.
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
			_ = unix.Close(fd) // all that is needed has been read
		}
	}
	_ = unix.Close(e.ep)
}

// now returns the time since the engine was made.
func (e *engine) now() time.Duration { return time.Since(e.epoch) }

// dialAll opens all connections.
func (e *engine) dialAll() {
	for i := range e.conns {
		e.dial(&e.conns[i])
	}
}

// dial opens the connection. If it can't, that is a failure, and dialing is repeated later.
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

// idle is called when a connection has no request under way. It sends the next one, if any.
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

// flush sends as much of c.out as possible.
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

// arm tells epoll whether to report when bytes can be sent.
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

// receive reads once, counts the answers and decides what is next on the connection.
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
		// After this answer the server does not answer any more.
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

// lose closes a connection after an error. The requests under way on it have failed. Without
// any it is no failure: a server may close an idle connection (RFC 9112, section 9.8). The
// connection is opened again after a pause.
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
	_ = unix.Close(c.fd) // all that is needed has been read
	e.waiting -= c.waits
	c.fd, c.waits, c.out, c.writes = -1, 0, nil, false
}

func (e *engine) fail(n int, err error) {
	e.failed += n
	if e.failure == "" {
		e.failure = err.Error()
	}
}

// abandon counts the requests under way as failed.
func (e *engine) abandon(format string, args ...any) {
	if e.waiting > 0 {
		e.fail(e.waiting, fmt.Errorf(format, args...))
	}
}

// poll handles all sockets that can be read or written. Unless Options.Spin is set, it waits
// for one, at most until the given time. It also opens connections that are down. The error
// is that of epoll or the cause of the context's end.
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

// run polls until the given time.
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

// settle sends no further requests and waits for the missing answers, at most for timeout.
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
