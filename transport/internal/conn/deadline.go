package conn

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// The timeouts of a client are kept here and not by fasthttp, which would set the
// deadlines of the socket three times per request. The deadline of the socket may be
// earlier than the time that the client has: when it passes too early, it is set again.
// So it is set once in a while and not for each request.

// timedOut reports whether err means that a deadline has passed. Connections that are not
// sockets have their own error for that, which need not be a net.Error. ETIMEDOUT from a
// system call is something else: the connection is dead.
func timedOut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var timeout interface{ Timeout() bool }
	var errno syscall.Errno
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.As(err, &errno)
}

// armRead makes sure that a read ends at limit or before.
func (c *Conn) armRead(limit instant) {
	if c.in.armed == 0 || c.in.armed > limit {
		c.in.armed = limit
		c.SetReadDeadline(limit.time()) //nolint:errcheck // the read tells
	}
}

// SetWriteDeadline sets the time by which the client must have taken what is written from
// now on, and by a write under way. Otherwise the WriteTimeout applies to each response.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	limit := int64(instantOf(t))
	c.out.limit.Store(limit)
	c.out.armed.Store(limit)
	return c.Conn.SetWriteDeadline(t)
}

// writeBy returns the instant by which the client must have taken the current write.
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

// armWrite makes sure that a write ends in time.
func (c *Conn) armWrite() {
	armed, limit := c.out.armed.Load(), c.writeBy()
	if armed == 0 || instant(armed) > limit {
		c.setWriteDeadline(limit)
	}
}

// rearmWrite sets a deadline that has passed too early again. It returns false if the
// client's time is over.
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
	c.Conn.SetWriteDeadline(limit.time()) //nolint:errcheck // the write reports the error
}
