package transport

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// The times that a client has are kept here, and not by fasthttp, which sets the
// deadlines of the socket three times for each request. A deadline of the socket
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
func (c *conn) armRead(limit instant) {
	if c.readArmed == 0 || c.readArmed > limit {
		c.readArmed = limit
		c.SetReadDeadline(limit.time()) //nolint:errcheck // the read tells
	}
}

// SetWriteDeadline gives the client until t to take what is written from now on,
// also by a write under way. Without it, a response has the WriteTimeout.
func (c *conn) SetWriteDeadline(t time.Time) error {
	limit := int64(instantOf(t))
	c.writeLimit.Store(limit)
	c.writeArmed.Store(limit)
	return c.Conn.SetWriteDeadline(t)
}

// writeBy returns when what is being written must have been taken by the client.
func (c *conn) writeBy() instant {
	if set := c.writeLimit.Load(); set != 0 {
		return instant(set)
	}
	return c.moved.add(c.owner.limits.WriteTimeout)
}

// send writes to the socket.
func (c *conn) send(p []byte) (written int, err error) {
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
func (c *conn) armWrite() {
	armed, limit := c.writeArmed.Load(), c.writeBy()
	if armed == 0 || instant(armed) > limit {
		c.setWriteDeadline(limit)
	}
}

// rearmWrite sets a deadline that has passed again; false if there is no time left.
func (c *conn) rearmWrite() bool {
	limit := c.writeBy()
	if now() >= limit {
		return false
	}
	c.setWriteDeadline(limit)
	return true
}

func (c *conn) setWriteDeadline(limit instant) {
	c.writeArmed.Store(int64(limit))
	c.Conn.SetWriteDeadline(limit.time()) //nolint:errcheck // the write tells
}
