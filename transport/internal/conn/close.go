package conn

import (
	"net"
	"time"
)

// How a connection is closed when the client may still be sending: the
// response would be lost if the kernel answered those bytes with a reset
// (RFC 9112, section 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)

// Close closes the connection so that the client gets what was written to it,
// unless it only goes into the idle set.
func (c *Conn) Close() error {
	if c.idle.entering {
		c.idle.entering = false
		c.enterIdleSet()
		return nil
	}
	if !c.ending.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer c.owner.forget(c)
	defer c.returnBody()
	defer c.forgetAttachment()
	if c.flush() == nil {
		c.closeSession()
	}
	if c.ending.linger || unread(c.Conn) > 0 {
		lingeringClose(c.Conn)
	}
	return c.Conn.Close()
}

func (c *Conn) forgetAttachment() {
	if c.Attachment != nil {
		c.Attachment.Forget()
	}
}

// closeSession says that nothing is missing (RFC 8446, section 6.1).
func (c *Conn) closeSession() {
	if c.established() && !c.tls.layer.broken {
		c.tls.layer.session.CloseWrite() //nolint:errcheck // a client that has gone needs not know
	}
}

// sayEnd tells the client of an idle connection that it ends. It comes right after
// the check that found nothing: a request that arrives between the two is lost, and
// the server takes its time, on a busy machine milliseconds, until it calls Close.
func (c *Conn) sayEnd() {
	c.closeSession()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() //nolint:errcheck // Close does the rest
	}
}

// abort closes the connection at once, whatever is going on on it.
func (c *Conn) abort() {
	if c.ending.closed.CompareAndSwap(false, true) {
		c.Conn.Close() //nolint:errcheck // nothing is left to be done about it
		c.owner.forget(c)
	}
}

// lingeringClose tells the client that nothing more comes and reads what it
// still sends, within bounds.
func lingeringClose(c net.Conn) {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	var buf [4096]byte
	for total := 0; total < lingerBytes; {
		n, err := c.Read(buf[:])
		if err != nil {
			return
		}
		total += n
	}
}
