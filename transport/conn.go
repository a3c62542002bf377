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
type conn struct {
	net.Conn
	owner   *listener
	expires time.Time // when its next response should be its last; zero: never

	state atomic.Int32
	// since is when the connection began to wait, in Unix nanoseconds.
	since atomic.Int64
	// woken is set when the drain has ended the read deadline.
	woken  atomic.Bool
	closed atomic.Bool

	// What follows belongs to the goroutine that serves the connection.

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
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.received(p, n)
			return n, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if c.state.Load() == waiting {
			return c.lastLook(p)
		}
		if !c.woken.Swap(false) {
			return n, err
		}
		// The drain took the connection for idle just as a request began.
		if err := c.SetReadDeadline(time.Now().Add(c.owner.readTimeout)); err != nil {
			return 0, err
		}
	}
}

func (c *conn) received(p []byte, n int) {
	if c.head == nil {
		c.head = p
	}
	c.chunk, c.heads = p[:n], 0
}

// lastLook reads what has arrived by now, without waiting; io.EOF if nothing.
func (c *conn) lastLook(p []byte) (int, error) {
	n, err := readNow(c.Conn, p)
	if n <= 0 {
		return 0, io.EOF
	}
	c.woken.Store(false)
	c.received(p, n)
	return n, errors.Join(err, c.SetReadDeadline(time.Now().Add(c.owner.readTimeout)))
}

var endOfHead = []byte("\r\n\r\n")

// pipelined reports whether the client has sent more after the request that is
// being answered. Such a response must not announce that the connection
// closes: the requests behind it would be lost.
//
// It counts the heads of requests in what was read last. A request with a body
// is taken for the last one unless more waits in the socket.
func (c *conn) pipelined(hasBody bool) bool {
	if !hasBody {
		if bytes.Count(c.chunk, endOfHead) > c.heads {
			return true
		}
		if i := bytes.LastIndex(c.chunk, endOfHead); i >= 0 && i+len(endOfHead) < len(c.chunk) {
			return true
		}
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
		c.woken.Store(true)
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
