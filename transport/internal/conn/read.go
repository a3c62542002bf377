package conn

import (
	"io"
	"os"
)

// Read reads like a net.Conn. When the deadline passes before a request has begun, it
// checks once more whether a request has arrived and serves it. Otherwise it ends the
// connection without an error response, which the client would take for the answer to a
// request that is on its way.
//
// On a port with TLS the first Read does the handshake, so that a slow handshake keeps
// nobody else waiting.
func (c *Conn) Read(p []byte) (int, error) {
	if c.flush(); c.out.broken { //nolint:errcheck // broken tells the same
		return 0, io.EOF
	}
	if c.tls.layer == nil || c.established() {
		return c.readOrCheck(p)
	}
	if n, err := c.readOrCheck(p[:1]); n == 0 {
		return 0, err
	}
	c.in.ahead = ahead{between: true}
	if startsRequest(p[0]) {
		c.tls.layer, c.tls.plainHTTP = nil, true
		c.in.ahead.read(p, 1)
		return 1, nil
	}
	c.idle.state.Store(handshaking)
	if err := c.tls.layer.handshake(c, p[0]); err != nil {
		c.tls.layer.settings.Failed(c.RemoteAddr(), err)
		c.Linger() // so that the alert arrives
		return 0, io.EOF
	}
	c.idle.woken.Store(0)
	c.in.greeted = false
	c.End()
	c.idle.since.Store(int64(now()))
	return c.readOrCheck(p)
}

func (c *Conn) readOrCheck(p []byte) (int, error) {
	for {
		c.armRead(c.nextCheck())
		if c.owner.crowded.Load() && c.nothingHere() {
			c.idle.since.CompareAndSwap(0, int64(now()))
			c.idle.entering = true
			return 0, io.EOF
		}
		var n int
		err := os.ErrDeadlineExceeded
		// Checked after armRead: a wake that comes later ends the deadline that armRead
		// has set.
		if c.idle.woken.Load() == 0 {
			n, err = c.receive(p, true)
		}
		if n > 0 {
			return c.received(p, n, err)
		}
		idle := c.idle.state.Load() == waiting
		if !timedOut(err) {
			if idle {
				err = io.EOF // no error response; see Read
			}
			return n, err
		}
		c.in.armed = 0
		c.idle.since.CompareAndSwap(0, int64(now()))
		woken, expired := c.idleAsWoken(), now() >= c.readLimit()
		ends := woken || expired
		switch {
		case !idle && expired:
			c.in.late = true
			return n, err
		case idle && (ends || now() >= c.idleTime()):
			if ends {
				if n, err := c.receive(p, false); n > 0 {
					return c.received(p, n, err)
				}
			}
			switch {
			case c.withinRecord(): // a request has begun
				c.in.began = now()
				c.idle.state.Store(active)
			case ends:
				c.sayEnd()
				return 0, io.EOF
			default:
				c.idle.entering = true
				return 0, io.EOF
			}
		default:
			// The drain found the connection idle just as a request began, or the
			// deadline of an earlier read has passed.
		}
	}
}

// idleAsWoken reports whether the drain has woken the connection and the connection has
// still been idle for as long as the drain meant. It resets the wake.
func (c *Conn) idleAsWoken() bool {
	woken := c.idle.woken.Swap(0)
	return woken != 0 && c.idle.since.Load() <= woken
}

// nextCheck returns when to look at the clock again if nothing has been read by then.
// That is not later than any time at which something must happen.
func (c *Conn) nextCheck() instant {
	if c.idle.state.Load() == waiting && c.idle.since.Load() == 0 {
		return c.in.moved.add(min(IdleAfter, c.owner.limits.IdleTimeout))
	}
	return min(c.readLimit(), c.idleTime())
}

// readLimit returns when what is being read must have arrived: the rest of a request, or
// the first byte of the first request or of the next one.
func (c *Conn) readLimit() instant {
	switch {
	case c.idle.state.Load() != waiting:
		return c.in.began.add(c.owner.limits.ReadTimeout)
	case !c.in.greeted:
		return instant(c.idle.since.Load()).add(c.owner.limits.ReadTimeout)
	default:
		return instant(c.idle.since.Load()).add(c.owner.limits.IdleTimeout)
	}
}

// receive reads from the socket, or from the TLS layer. Without wait it returns 0 when
// nothing has arrived.
func (c *Conn) receive(p []byte, wait bool) (n int, err error) {
	switch {
	case len(c.in.early) > 0:
		n = copy(p, c.in.early)
		if c.in.early = c.in.early[n:]; len(c.in.early) == 0 {
			c.in.early = nil
		}
	case c.established():
		n, err = c.tls.layer.read(p, wait)
	case wait:
		n, err = c.Conn.Read(p)
	default:
		n, err = readNow(c.Conn, p)
	}
	return n, err
}

// received notes the result of a read, and returns it.
func (c *Conn) received(p []byte, n int, err error) (int, error) {
	c.in.moved = now()
	if c.idle.state.Load() == waiting {
		c.in.began = c.in.moved
	}
	if !c.in.greeted {
		c.in.greeted = true
		if c.tls.hello = p[0] == recordHandshake && c.tls.layer == nil; c.tls.hello {
			return 0, ErrTLSHello
		}
	}
	c.in.ahead.read(p, n)
	if c.in.chunks != nil {
		c.in.chunks.follow(p[:n])
	}
	return n, err
}
