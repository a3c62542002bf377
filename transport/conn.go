package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The states of a connection.
const (
	// waiting: no byte of the next request has arrived; idle.
	waiting int32 = iota
	// active: a request has begun and its response is not yet written.
	active
	// shaking: a TLS handshake has begun and is not complete.
	shaking
)

// How a connection is closed when the client may still be sending: the
// response would be lost if the kernel answered those bytes with a reset
// (RFC 9112, section 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)

// A conn is one client connection with the bookkeeping of the drain. fasthttp
// closes an idle connection without looking whether a request has just
// arrived; a conn looks, because its own goroutine takes the decision:
// whoever wants it closed only wakes its read.
//
// On a port that speaks TLS there is a layer between it and its socket.
type conn struct {
	net.Conn // the socket
	owner    *listener
	expires  time.Time // when its next response should be its last; zero: never

	state atomic.Int32
	// since is when the connection began to wait, in Unix nanoseconds.
	since atomic.Int64
	// woken is set when the drain has ended the read deadline, to what since was
	// at most when it did; 0 otherwise.
	woken  atomic.Int64
	closed atomic.Bool

	// What follows belongs to the goroutine that serves the connection.

	layer     *tlsLayer // nil: the bytes of the socket are the client's
	plainHTTP bool      // the client does not speak TLS as it should

	head   []byte // the read buffer from its start, for a look at a request that does not fit
	chunk  []byte // what the last read returned
	heads  int    // requests handled since then
	linger bool   // the client may still be sending when the connection is closed

	prev, next *conn // the listener's list
}

// Read reads like net.Conn. When a deadline passes while no request has begun,
// it looks once more for a request that is there already and serves it, and
// otherwise ends the connection without a word: an unasked-for error response
// would be taken for the answer to a request that is on its way.
//
// On a port that speaks TLS the first read does the handshake, so that a slow
// one keeps nobody else waiting.
func (c *conn) Read(p []byte) (int, error) {
	if c.layer == nil || c.layer.session != nil {
		return c.readOrLook(p)
	}
	if n, err := c.readOrLook(p[:1]); n == 0 {
		return 0, err
	}
	c.head, c.chunk = nil, nil
	if startsRequest(p[0]) {
		c.layer, c.plainHTTP = nil, true
		return c.received(p, 1, nil)
	}
	c.state.Store(shaking)
	if err := c.layer.handshake(c, p[0]); err != nil {
		c.layer.settings.failed(c, err)
		c.linger = true // so that the alert arrives
		return 0, io.EOF
	}
	c.woken.Store(0)
	c.end()
	return c.readOrLook(p)
}

func (c *conn) readOrLook(p []byte) (int, error) {
	for {
		n, err := c.receive(p, true)
		if n > 0 {
			return c.received(p, n, err)
		}
		idle := c.state.Load() == waiting
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			if idle && c.layer != nil {
				err = io.EOF // a broken session has no use for an error response
			}
			return n, err
		case idle && c.idleAsWoken():
			if n, err := c.receive(p, false); n > 0 {
				c.woken.Store(0)
				return c.received(p, n, errors.Join(err, c.extend()))
			}
			if !c.withinRecord() {
				return 0, io.EOF
			}
			c.begin()
		case !idle && c.woken.Load() == 0:
			return n, err
		}
		// The drain took the connection for idle just as a request began.
		c.woken.Store(0)
		if err := c.extend(); err != nil {
			return 0, err
		}
	}
}

// receive reads from the socket or the layer on it. Without wait it returns 0
// when nothing is there.
func (c *conn) receive(p []byte, wait bool) (int, error) {
	switch {
	case c.layer != nil && c.layer.session != nil:
		return c.layer.read(p, wait)
	case wait:
		return c.Conn.Read(p)
	default:
		return readNow(c.Conn, p)
	}
}

// received notes what a read returned, and returns it.
func (c *conn) received(p []byte, n int, err error) (int, error) {
	if c.head == nil {
		c.head = p
		if p[0] == recordHandshake && c.layer == nil {
			return 0, errTLSHello
		}
	}
	c.chunk, c.heads = p[:n], 0
	return n, err
}

// idleAsWoken reports whether the connection has been silent since before the
// time for which it was woken, if it was.
func (c *conn) idleAsWoken() bool {
	woken := c.woken.Load()
	return woken == 0 || c.since.Load() <= woken
}

// withinRecord reports whether part of a TLS record has arrived, which then is
// the beginning of a request.
func (c *conn) withinRecord() bool {
	return c.layer != nil && c.layer.session != nil && c.layer.wire.records.within()
}

// extend gives a request the time to arrive.
func (c *conn) extend() error { return c.SetReadDeadline(time.Now().Add(c.owner.readTimeout)) }

// Write writes like net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.layer == nil {
		return c.Conn.Write(p)
	}
	if c.layer.session == nil {
		return 0, net.ErrClosed // no client is there to read it
	}
	n, err := c.layer.session.Write(p)
	if err != nil {
		c.layer.broken = true
	}
	return n, err
}

var endOfHead = []byte("\r\n\r\n")

// pipelined reports whether the client has sent more after the request that is
// being answered. Such a response must not announce that the connection
// closes: the requests behind it would be lost.
//
// It counts the heads of requests in what was read last. A request with a body
// is taken for the last one unless more waits in the socket or the layer on it.
func (c *conn) pipelined(hasBody bool) bool {
	if !hasBody {
		if bytes.Count(c.chunk, endOfHead) > c.heads {
			return true
		}
		if i := bytes.LastIndex(c.chunk, endOfHead); i >= 0 && i+len(endOfHead) < len(c.chunk) {
			return true
		}
	}
	if c.layer != nil {
		return c.layer.more()
	}
	return unread(c.Conn) > 0
}

// requestLineFits reports whether a request that was too large for the read
// buffer had at least its first line within it.
func (c *conn) requestLineFits() bool { return bytes.IndexByte(c.head, '\n') >= 0 }

// begin and end are called as a request's first byte arrives and as its
// response has been written.
func (c *conn) begin() { c.state.Store(active) }

func (c *conn) end() {
	c.since.Store(time.Now().UnixNano())
	c.state.Store(waiting)
}

// wakeIfIdle ends the wait of a connection that has been idle since before t.
func (c *conn) wakeIfIdle(t time.Time) {
	if c.state.Load() == waiting && c.since.Load() <= t.UnixNano() {
		c.woken.Store(t.UnixNano())
		c.SetReadDeadline(past) //nolint:errcheck // a closed connection needs no waking
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Close closes the connection so that the client gets what was written to it.
func (c *conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer c.owner.forget(c)
	if c.layer != nil && c.layer.session != nil && !c.layer.broken {
		// Says that nothing is missing (RFC 8446, section 6.1).
		c.layer.session.CloseWrite() //nolint:errcheck // a client that has gone needs not know
	}
	if c.linger || unread(c.Conn) > 0 {
		lingeringClose(c.Conn)
	}
	return c.Conn.Close()
}

// abort closes the connection at once, whatever is going on on it.
func (c *conn) abort() {
	if c.closed.CompareAndSwap(false, true) {
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
