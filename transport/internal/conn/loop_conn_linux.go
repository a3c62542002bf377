package conn

import (
	"bytes"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A socket is what a connection has while an event loop has it. It belongs to the loop.
type socket struct {
	fd      int
	silent  instant // since when the client has been silent
	lingers instant // the last response was sent; what arrives until then is dropped. 0: no
	dropped int     // bytes that were dropped
	// unshared: nobody but the loops has had the connection, so nobody keeps a pointer to it
	// once it is closed.
	unshared bool
}

// loopSpares is how many closed connections a loop keeps to use their memory again. Clients
// that make a connection for each request would otherwise keep the garbage collector busy,
// which took an eighth of the CPU.
const loopSpares = 128

// newConn returns a Conn without any content.
func (e *loop) newConn() *Conn {
	last := len(e.spare) - 1
	if last < 0 {
		return &Conn{}
	}
	c := e.spare[last]
	e.spare[last] = nil
	e.spare = e.spare[:last]
	return c
}

// reuse lets c, which is in no list, be used for another connection.
func (e *loop) reuse(c *Conn) {
	if c.socket.unshared && len(e.spare) < loopSpares {
		*c = Conn{} // now, so that nothing of a client is kept
		e.spare = append(e.spare, c)
	}
}

// inLoop reports whether an event loop has the connection. The caller must hold the
// listener's mutex, or be the one who has the connection.
func (c *Conn) inLoop() bool { return c.Conn == nil }

// socketLimit is readLimit for a connection in a loop.
func (c *Conn) socketLimit() instant {
	if !c.in.greeted {
		return c.socket.silent.add(c.owner.limits.ReadTimeout)
	}
	return c.socket.silent.add(c.owner.limits.IdleTimeout)
}

// readable reads what has arrived on a connection, and answers it or gives the connection
// to the server. It reports whether the loop still has the connection.
func (e *loop) readable(c *Conn) bool {
	n, errno := readRaw(c.socket.fd, e.buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return true
	case errno != 0 || n == 0:
		e.close(c)
		return false
	case c.socket.lingers != 0:
		if c.socket.dropped += n; c.socket.dropped >= lingerBytes {
			e.close(c)
			return false
		}
		return true
	}
	b := e.buffer[:n]
	c.in.moved = now()
	e.responses = e.responses[:0]
	for len(b) > 0 {
		used, end := 0, false
		if used, e.responses, end = e.of.owner.answer(c, b, e.responses); used == 0 {
			break
		}
		c.in.greeted = true
		b = b[used:]
		if end {
			return e.send(c, nil, true) && e.finish(c, len(b) > 0)
		}
		large := c.body.pieces != nil
		if (large || len(e.responses) >= loopSends) && !e.send(c, b, false) {
			return false
		}
		if large {
			break // others must not wait until this client has more of them
		}
	}
	if len(e.responses) > 0 && !e.send(c, b, false) {
		return false
	}
	c.socket.silent = c.in.moved
	if len(b) > 0 {
		e.handOver(c, b, outgoing{}, false)
		return false
	}
	return true
}

// send sends the responses that were collected. If the client does not take them at once,
// it gives the connection to the server, with what was read and not answered, and returns
// false. end says that the last of them announces the end of the connection.
func (e *loop) send(c *Conn, unanswered []byte, end bool) bool {
	if c.body.pieces != nil {
		return e.sendWithBody(c, unanswered, end)
	}
	p := e.responses
	e.responses = p[:0]
	n, errno := writeRaw(c.socket.fd, p)
	switch {
	case n == len(p):
		return true
	case errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR:
		e.close(c)
		return false
	}
	e.handOver(c, unanswered, outgoing{bytes: p[max(n, 0):]}, end)
	return false
}

// finish ends a connection whose last response has been sent, so that the client receives
// it, as Conn.Close does. It reports whether the loop still has the connection.
func (e *loop) finish(c *Conn, unanswered bool) bool {
	if !c.ending.linger && !unanswered && unreadSocket(c.socket.fd) == 0 {
		e.close(c)
		return false
	}
	unix.Shutdown(c.socket.fd, unix.SHUT_WR) //nolint:errcheck // the client may be gone
	c.socket.lingers = now().add(lingerTime)
	return true
}

func (e *loop) holds(c *Conn) bool {
	fd := c.socket.fd
	return fd < len(e.conns) && e.conns[fd] == c
}

// leave removes a connection from the loop.
func (e *loop) leave(c *Conn) {
	if e.holds(c) {
		e.conns[c.socket.fd] = nil
		e.load.Add(-1)
	}
}

// close closes a connection. The caller must not use c any more.
func (e *loop) close(c *Conn) {
	e.leave(c)
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(c.socket.fd), 0, 0) //nolint:errcheck // #nosec G115 -- a file descriptor
	c.socket.fd = -1
	c.forgetAttachment()
	if c.ending.closed.CompareAndSwap(false, true) { // else the drain has cut it on its way here
		e.of.owner.forget(c)
		e.reuse(c)
	}
}

// handOver gives a connection to the server: with a copy of the bytes that were read and not
// answered, and of those of responses that could not be sent yet.
func (e *loop) handOver(c *Conn, early []byte, unsent outgoing, end bool) {
	if e.holds(c) {
		e.unwatch(c.socket.fd)
		e.leave(c)
	}
	l := e.of.owner
	nc, err := newFileConn(c.socket.fd, c.client)
	if err != nil {
		c.socket.fd = -1
		c.ending.closed.Store(true)
		l.forget(c)
		return
	}
	// All is set before the drain sees the connection as one of the server's.
	c.in.early = bytes.Clone(early)
	unsent.bytes = bytes.Clone(unsent.bytes)
	c.in.armed = 0
	c.out.armed.Store(0)
	c.idle.woken.Store(0)
	c.idle.since.Store(int64(c.socket.silent))
	c.idle.inSet.Store(false)
	left := len(unsent.bytes) > 0 || unsent.body != nil
	if left {
		c.idle.state.Store(active)
	}
	l.takeUp()
	l.mu.Lock()
	c.Conn, c.socket.fd = nc, -1
	l.mu.Unlock()
	if !left {
		go l.serve(c)
		return
	}
	go c.resume(&unsent, end)
}

// mostRests is how often a connection goes back to the loops as soon as its client has taken
// what it did not take at once. The first responses are often too large for the window of a
// new connection. With a client whose window stays small, there and back would cost more than
// the server does.
const mostRests = 4

// resume sends what a loop could not send, and gives the connection back to the loops, or to
// the server if that is better.
func (c *Conn) resume(unsent *outgoing, end bool) {
	if err := c.sendRest(unsent); err != nil || end {
		c.Close() //nolint:errcheck // nothing is left to be done about it
		return
	}
	c.End()
	c.in.moved = now()
	if c.out.rests++; len(c.in.early) == 0 && c.out.rests <= mostRests {
		c.idle.inSet.Store(true)
		c.owner.putAside()
		if c.enterLoop() {
			return
		}
		c.idle.inSet.Store(false)
		c.owner.takeUp()
	}
	c.owner.serve(c)
}

// enterLoop gives a connection that the server has done with to a loop. It returns false if
// that is not possible.
func (c *Conn) enterLoop() bool {
	l := c.owner
	raw, ok := rawConn(c.Conn)
	if !ok {
		return false
	}
	fd := -1
	err := raw.Control(func(of uintptr) { fd, _ = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || fd < 0 {
		return false
	}
	old := c.Conn
	l.mu.Lock()
	c.Conn = nil
	c.socket = socket{fd: fd, silent: max(instant(c.idle.since.Load()), c.in.moved)}
	l.mu.Unlock()
	old.Close() //nolint:errcheck // the duplicate is in use
	if !l.loops.choose(nil).give(c) {
		unix.Close(fd) //nolint:errcheck // nothing is left to be done about it
		c.forgetAttachment()
		if c.ending.closed.CompareAndSwap(false, true) {
			l.forget(c)
		}
	}
	return true
}

// peer returns the client's address of a connection in a loop.
func (c *Conn) peer() net.Addr { return net.TCPAddrFromAddrPort(c.client) }

func unreadSocket(fd int) int {
	n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return n
}
