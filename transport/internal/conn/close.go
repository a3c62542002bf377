package conn

import (
	"net"
	"time"
)

// Bounds on closing a connection whose client may still be sending. If the kernel
// answered those bytes with a reset, the client would lose the response (RFC 9112,
// section 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)

// Close closes the connection in such a way that the client receives everything that was
// written to it. When the connection is on its way into the idle set, Close leaves it
// open.
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
	if c.ending.linger || len(c.in.early) > 0 || unread(c.Conn) > 0 {
		lingeringClose(c.Conn)
	}
	return c.Conn.Close()
}

func (c *Conn) forgetAttachment() {
	if c.Attachment != nil {
		c.Attachment.Forget()
	}
}

// closeSession sends the alert that ends a TLS session (RFC 8446, section 6.1), which
// tells the client that nothing was cut off.
func (c *Conn) closeSession() {
	if c.established() && !c.tls.layer.broken {
		c.tls.layer.session.CloseWrite() //nolint:errcheck // the client may be gone
	}
}

// sayEnd tells the client of an idle connection that it is being closed. It must come
// right after the check that found no request: a request that arrives between the two is
// lost, and the server takes some time, on a busy machine milliseconds, until it calls
// Close.
func (c *Conn) sayEnd() {
	c.closeSession()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() //nolint:errcheck // Close does the rest
	}
}

// abort closes the connection at once, whatever the server is doing with it. It leaves
// those of the event loops to them.
func (c *Conn) abort() {
	c.owner.mu.Lock()
	nc := c.Conn
	c.owner.mu.Unlock()
	if nc != nil && c.ending.closed.CompareAndSwap(false, true) {
		nc.Close() //nolint:errcheck // nothing is left to be done about it
		c.owner.forget(c)
	}
}

// lingeringClose tells the client that nothing more will come, and reads what the client
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
