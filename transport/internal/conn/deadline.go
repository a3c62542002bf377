package conn

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// The times that a client has are kept here, and not by the HTTP server: fasthttp would
// set the deadlines of the socket three times for each request. A deadline of the socket
// may be earlier than what it stands for: when it passes, that is looked at, and
// the deadline is set again if there is time left. So it is set once in a while,
// and not for each request.

// timedOut reports whether a deadline has passed. Connections that are no sockets have
// an error of their own for that, if not always a net.Error. That of a system call is another
// matter: with ETIMEDOUT the connection is dead.
func timedOut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var timeout interface{ Timeout() bool }
	var errno syscall.Errno
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.As(err, &errno)
}

// armRead sees to it that a read ends by limit.
func (c *Conn) armRead(limit instant) {
	if c.in.armed == 0 || c.in.armed > limit {
		c.in.armed = limit
		c.SetReadDeadline(limit.time()) //nolint:errcheck // the read tells
	}
}

// SetWriteDeadline gives the client until t to take what is written from now on,
// also by a write under way. Without it, a response has the WriteTimeout.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	limit := int64(instantOf(t))
	c.out.limit.Store(limit)
	c.out.armed.Store(limit)
	return c.Conn.SetWriteDeadline(t)
}

// writeBy returns when what is being written must have been taken by the client.
func (c *Conn) writeBy() instant {
	if set := c.out.limit.Load(); set != 0 {
		return instant(set)
	}
	return c.in.moved.add(c.owner.limits.WriteTimeout)
}

// send writes to the socket.
func (c *Conn) send(p []byte) (written int, err error) {
	c.armWrite()
	for {
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil || !timedOut(err) || !c.rearmWrite() {
			return written, err
		}
	}
}

// armWrite sees to it that a write ends in time.
func (c *Conn) armWrite() {
	armed, limit := c.out.armed.Load(), c.writeBy()
	if armed == 0 || instant(armed) > limit {
		c.setWriteDeadline(limit)
	}
}

// rearmWrite sets a deadline that has passed again; false if there is no time left.
func (c *Conn) rearmWrite() bool {
	limit := c.writeBy()
	if now() >= limit {
		return false
	}
	c.setWriteDeadline(limit)
	return true
}

func (c *Conn) setWriteDeadline(limit instant) {
	c.out.armed.Store(int64(limit))
	c.Conn.SetWriteDeadline(limit.time()) //nolint:errcheck // the write tells
}
