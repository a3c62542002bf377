package transport

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/auth"
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
// arrived; a conn checks, because its own goroutine takes the decision:
// whoever wants it closed only wakes its read.
//
// It keeps the times that a client has, instead of fasthttp, which would set
// three deadlines for each request: see deadline.go. It leaves fasthttp while
// nothing happens on it, so that an idle connection has no buffers: see idle_set.go.
// And it sends the responses to pipelined requests together: see write_batch.go.
//
// On a port that speaks TLS there is a layer between it and its socket.
type conn struct {
	net.Conn // the socket
	owner    *listener
	expires  instant // when its next response should be its last; 0: never

	state atomic.Int32
	// since is the instant at which the connection began to wait, or the first one
	// at which somebody looked and it did: 0 if nobody has yet.
	since atomic.Int64
	// woken is set when the drain has ended the read deadline, to what since was
	// at most when it did; 0 otherwise.
	woken  atomic.Int64
	closed atomic.Bool
	// outside is set while the connection is in the idle set.
	outside atomic.Bool

	writeLimit atomic.Int64 // set by SetWriteDeadline, an instant; 0: the WriteTimeout counts
	writeArmed atomic.Int64 // the socket's write deadline is not later than it; 0: none

	// What follows belongs to the goroutine that serves the connection.

	readArmed   instant // the socket's read deadline is not later than it; 0: none
	canIdle     bool
	layer       *tlsLayer // nil: the bytes of the socket are the client's
	plainHTTP   bool      // the client does not speak TLS as it should
	hello       bool      // the client speaks TLS as it should not
	greeted     bool      // the client has sent something
	intoIdleSet bool      // the end of fasthttp's work is not that of the connection

	began     instant     // when the first byte of the request arrived
	moved     instant     // when something was read last, or a response made
	ahead     ahead       // what was read
	late      bool        // the rest of the request has not arrived in time
	linger    bool        // the client may still be sending when the connection is closed
	streaming bool        // what is written is to be sent at once
	lasting   bool        // the body of the response need not be copied; see body.go
	broken    bool        // part of a response could not be sent
	batch     *writeBatch // what was written and not sent yet; nil if nothing
	body      *[]byte     // of the response, to be used again; see body.go
	made      int         // its capacity
	phase     int8        // of a request with a body; see requestbody.go
	muted     mute        // what of the next writes is not sent
	mutedCut  int8        // how much of it was cut off the last write
	sizes     *chunkSizes // of the body being received; nil if it is not chunked

	token auth.Recent

	prev, next *conn // the listener's list
}

// Read reads like net.Conn. When a deadline passes while no request has begun,
// it checks once more for a request that is there already and serves it, and
// otherwise ends the connection without a word: an unasked-for error response
// would be taken for the answer to a request that is on its way.
//
// On a port that speaks TLS the first read does the handshake, so that a slow
// one keeps nobody else waiting.
func (c *conn) Read(p []byte) (int, error) {
	if c.flush(); c.broken { //nolint:errcheck // broken says so, too
		return 0, io.EOF
	}
	if c.layer == nil || c.layer.session != nil {
		return c.readOrCheck(p)
	}
	if n, err := c.readOrCheck(p[:1]); n == 0 {
		return 0, err
	}
	c.ahead = ahead{between: true}
	if startsRequest(p[0]) {
		c.layer, c.plainHTTP = nil, true
		c.ahead.read(p, 1)
		return 1, nil
	}
	c.state.Store(shaking)
	if err := c.layer.handshake(c, p[0]); err != nil {
		c.layer.settings.failed(c, err)
		c.linger = true // so that the alert arrives
		return 0, io.EOF
	}
	c.woken.Store(0)
	c.greeted = false
	c.end()
	c.since.Store(int64(now()))
	return c.readOrCheck(p)
}

func (c *conn) readOrCheck(p []byte) (int, error) {
	for {
		c.armRead(c.nextCheck())
		if c.owner.crowded.Load() && c.nothingHere() {
			c.since.CompareAndSwap(0, int64(now()))
			c.intoIdleSet = true
			return 0, io.EOF
		}
		var n int
		err := os.ErrDeadlineExceeded
		// Looked at behind arming: a wake that comes later ends the deadline anew.
		if c.woken.Load() == 0 {
			n, err = c.receive(p, true)
		}
		if n > 0 {
			return c.received(p, n, err)
		}
		idle := c.state.Load() == waiting
		if !timedOut(err) {
			if idle {
				err = io.EOF // nobody has asked for an error response
			}
			return n, err
		}
		c.readArmed = 0
		c.since.CompareAndSwap(0, int64(now()))
		woken, expired := c.idleAsWoken(), now() >= c.readLimit()
		switch {
		case idle && (woken || expired):
			if n, err := c.receive(p, false); n > 0 {
				return c.received(p, n, err)
			}
			if !c.withinRecord() {
				c.sayEnd()
				return 0, io.EOF
			}
			c.began = now()
			c.state.Store(active)
		case !idle && expired:
			c.late = true
			return n, err
		case idle && now() >= c.idleTime():
			if !c.withinRecord() {
				c.intoIdleSet = true
				return 0, io.EOF
			}
			c.began = now()
			c.state.Store(active)
		default:
			// The drain took the connection for idle just as a request began, or what
			// has passed was the deadline of an earlier read.
		}
	}
}

// idleAsWoken reports whether the drain has woken the connection, and it has been
// silent since before the time that was meant. It forgets the wake.
func (c *conn) idleAsWoken() bool {
	woken := c.woken.Swap(0)
	return woken != 0 && c.since.Load() <= woken
}

// nextCheck returns when to look at the time again if nothing has been read by
// then: not later than any of the times that matter.
func (c *conn) nextCheck() instant {
	if c.state.Load() == waiting && c.since.Load() == 0 {
		return c.moved.add(min(idleAfter, c.owner.limits.IdleTimeout))
	}
	return min(c.readLimit(), c.idleTime())
}

// readLimit returns when what is read now must have arrived: the rest of a
// request, or the first byte of the first one, or of the next one.
func (c *conn) readLimit() instant {
	switch {
	case c.state.Load() != waiting:
		return c.began.add(c.owner.limits.ReadTimeout)
	case !c.greeted:
		return instant(c.since.Load()).add(c.owner.limits.ReadTimeout)
	default:
		return instant(c.since.Load()).add(c.owner.limits.IdleTimeout)
	}
}

// receive reads from the socket or the layer on it. Without wait it returns 0
// when nothing is there.
func (c *conn) receive(p []byte, wait bool) (n int, err error) {
	switch {
	case c.layer != nil && c.layer.session != nil:
		n, err = c.layer.read(p, wait)
	case wait:
		n, err = c.Conn.Read(p)
	default:
		n, err = readNow(c.Conn, p)
	}
	return n, err
}

// received notes what a read returned, and returns it.
func (c *conn) received(p []byte, n int, err error) (int, error) {
	c.moved = now()
	if c.state.Load() == waiting {
		c.began = c.moved
	}
	if !c.greeted {
		c.greeted = true
		if c.hello = p[0] == recordHandshake && c.layer == nil; c.hello {
			return 0, errTLSHello
		}
	}
	c.ahead.read(p, n)
	if c.sizes != nil {
		c.sizes.follow(p[:n])
	}
	return n, err
}

// withinRecord reports whether part of a TLS record has arrived, which then is
// the beginning of a request.
func (c *conn) withinRecord() bool {
	return c.layer != nil && c.layer.session != nil && c.layer.wire.records.within()
}

// begin and end are called as a request's first byte arrives and as its
// response has been written.
func (c *conn) begin() {
	if c.ahead.between { // it came together with one that has been answered
		c.began = c.moved
		c.ahead.beginUnread()
	}
	c.state.Store(active)
}

func (c *conn) end() {
	if c.body != nil || !c.ahead.more {
		c.flush() //nolint:errcheck // the next read tells
	}
	c.ahead.between = true
	c.returnBody()
	c.lasting = false
	if c.writeLimit.Load() != 0 {
		c.writeLimit.Store(0)
	}
	c.since.Store(0)
	c.state.Store(waiting)
}

// wakeIfIdle ends the wait of a connection that has been idle since before t; with
// 0 it only notes that it is idle.
func (c *conn) wakeIfIdle(t instant) {
	if c.state.Load() != waiting || c.since.CompareAndSwap(0, int64(now())) {
		return
	}
	if c.since.Load() <= int64(t) {
		c.woken.Store(int64(t))
		c.SetReadDeadline(past) //nolint:errcheck // a closed connection needs no waking
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Close closes the connection so that the client gets what was written to it,
// unless it only goes into the idle set.
func (c *conn) Close() error {
	if c.intoIdleSet {
		c.intoIdleSet = false
		c.enterIdleSet()
		return nil
	}
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	defer c.owner.forget(c)
	defer c.returnBody()
	defer c.token.Forget()
	if c.flush() == nil {
		c.closeSession()
	}
	if c.linger || unread(c.Conn) > 0 {
		lingeringClose(c.Conn)
	}
	return c.Conn.Close()
}

// closeSession says that nothing is missing (RFC 8446, section 6.1).
func (c *conn) closeSession() {
	if c.layer != nil && c.layer.session != nil && !c.layer.broken {
		c.layer.session.CloseWrite() //nolint:errcheck // a client that has gone needs not know
	}
}

// sayEnd tells the client of an idle connection that it ends. It comes right after
// the check that found nothing: a request that arrives between the two is lost, and
// fasthttp takes its time, on a busy machine milliseconds, until it calls Close.
func (c *conn) sayEnd() {
	c.closeSession()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() //nolint:errcheck // Close does the rest
	}
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
