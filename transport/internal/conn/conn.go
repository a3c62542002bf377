package conn

import (
	"net"
	"sync/atomic"
	"time"
)

// A Conn is one client connection with the bookkeeping of the drain. An HTTP server closes
// an idle connection without looking whether a request has just arrived; a Conn checks,
// because its own goroutine takes the decision: whoever wants it closed only wakes its read.
//
// Its methods are for the goroutine that serves it, except those that belong to net.Conn
// and may be called by any.
type Conn struct {
	net.Conn // the socket
	owner    *Listener

	// Attachment is the server's own; nil at first.
	Attachment Attachment

	idle   idleness
	in     reading
	out    writing
	body   responseBody
	tls    security
	ending ending

	prev, next *Conn // the listener's list
}

// Of returns a connection as what it is; nil if it is none of a Listener's.
func Of(nc net.Conn) *Conn {
	c, _ := nc.(*Conn)
	return c
}

// An Attachment is what a server keeps with a connection from one request to the next.
type Attachment interface {
	// Forget is called when the connection goes into the idle set, and when it is closed.
	Forget()
}

// The states of a connection.
const (
	// waiting: no byte of the next request has arrived; idle.
	waiting int32 = iota
	// active: a request has begun and its response is not yet written.
	active
	// shaking: a TLS handshake has begun and is not complete.
	shaking
)

// idleness says whether anything happens on a connection. The drain looks at it.
type idleness struct {
	state atomic.Int32
	// since is the instant at which the connection began to wait, or the first one
	// at which somebody looked and it did: 0 if nobody has yet.
	since atomic.Int64
	// woken is set when the drain has ended the read deadline, to what since was
	// at most when it did; 0 otherwise.
	woken atomic.Int64
	// inSet is set while the connection is in the idle set.
	inSet atomic.Bool

	// What follows belongs to the goroutine that serves the connection.

	canEnter bool // it may go into the idle set
	entering bool // the end of the server's work is not that of the connection
}

// reading is what comes from the client. It belongs to the goroutine that serves the
// connection.
type reading struct {
	armed   instant // the socket's read deadline is not later than it; 0: none
	began   instant // when the first byte of the request arrived
	moved   instant // when something was read last, or a response made
	greeted bool    // the client has sent something
	late    bool    // the rest of the request has not arrived in time
	ahead   ahead   // what was read
	chunks  *Chunks // of the body being received; nil if it is not chunked
}

// writing is what goes to the client. Except for the deadlines it belongs to the goroutine
// that serves the connection.
type writing struct {
	limit atomic.Int64 // set by SetWriteDeadline, an instant; 0: the WriteTimeout counts
	armed atomic.Int64 // the socket's write deadline is not later than it; 0: none

	streaming bool        // what is written is to be sent at once
	broken    bool        // part of a response could not be sent
	batch     *writeBatch // what was written and not sent yet; nil if nothing
	muted     mute        // what of the next writes is not sent
	mutedCut  int8        // how much of it was cut off the last write
}

// security is what TLS there is between a connection and its socket. It belongs to the
// goroutine that serves the connection.
type security struct {
	layer     *tlsLayer // nil: the bytes of the socket are the client's
	plainHTTP bool      // the client does not speak TLS as it should
	hello     bool      // the client speaks TLS as it should not
}

// ending is how a connection ends.
type ending struct {
	expires instant // when its next response should be its last; 0: never
	linger  bool    // the client may still be sending when the connection is closed
	closed  atomic.Bool
}

// A Head is the head of a request as it was read, of which the lengths matter.
// *fasthttp.RequestHeader is one.
type Head interface {
	Method() []byte
	RequestURI() []byte
	Protocol() []byte
	// RawHeaders returns the lines of the header fields with the empty one behind them;
	// nothing if there is no field.
	RawHeaders() []byte
}

// Begin says that the first byte of a request has been read.
func (c *Conn) Begin() {
	if c.in.ahead.between { // it came together with one that has been answered
		c.in.began = c.in.moved
		c.in.ahead.beginUnread()
	}
	c.idle.state.Store(active)
}

// Answered says that the response to the request with the head h is made, and whether it
// is a stream, of which each write is sent at once. It returns how long that took since the
// request arrived.
//
// If the connection shall end, be it that the caller wants it or that it is too old, last
// says whether this response is to announce it. It is not if the client has sent more: that
// is answered first, unless the drain has to hurry.
func (c *Conn) Answered(h Head, stream, end bool) (took time.Duration, last bool) {
	t := now()
	took, c.in.moved = t.sub(c.in.moved), t
	c.in.ahead.answered(h)
	c.out.streaming = stream && !c.body.lasting
	if end || c.ending.expires != 0 && t > c.ending.expires {
		last = c.owner.hurry.Load() || !c.pipelined()
		c.ending.linger = c.ending.linger || last
	}
	return took, last
}

// End says that the response has been written.
func (c *Conn) End() {
	if c.body.made != nil || !c.in.ahead.more {
		c.flush() //nolint:errcheck // the next read tells
	}
	c.in.ahead.between = true
	c.returnBody()
	c.body.lasting = false
	if c.out.limit.Load() != 0 {
		c.out.limit.Store(0)
	}
	c.idle.since.Store(0)
	c.idle.state.Store(waiting)
}

// Arrived returns when the request that is being answered arrived, or when the response
// before it was made if the two requests came together.
func (c *Conn) Arrived() time.Time { return c.in.moved.time() }

// Linger says that the client may still be sending when the connection is closed: then
// what it sends is read for a while, and its response arrives.
func (c *Conn) Linger() { c.ending.linger = true }

// pipelined reports whether the client has sent more after the request that is
// being answered. Such a response must not announce that the connection
// closes: the requests behind it would be lost.
func (c *Conn) pipelined() bool {
	left := c.in.ahead.left()
	switch {
	case left > 0:
		return true
	case c.tls.layer == nil:
		return int64(unread(c.Conn)) > -left
	case left < 0: // what is behind the rest of the body can't be told from it
		return true
	}
	return c.tls.layer.more()
}

// A Fault is what is known of a request that could not be read, also if its reader has
// forgotten it.
type Fault struct {
	PlainHTTP  bool // the port speaks TLS, and the client does not
	TLSHello   bool // the other way round
	Late       bool // the rest of it has not arrived in time
	Version    bool // it names a version of HTTP other than 1.1 and 1.0
	NoLine     bool // its first line has no end
	MethodHead bool // it is a HEAD: the response has no body
}

// Refused says that what was read is no request, and that a response to it ends the
// connection.
func (c *Conn) Refused() Fault {
	// The server has given its read buffer to another connection by now.
	c.in.ahead.forget()
	c.Linger()
	line := c.in.ahead.line
	return Fault{
		PlainHTTP: c.tls.plainHTTP, TLSHello: c.tls.hello, Late: c.in.late,
		Version: line.version, NoLine: !line.complete, MethodHead: line.isHead,
	}
}

// PlainHTTP reports whether the client speaks HTTP without TLS on a port that speaks TLS.
func (c *Conn) PlainHTTP() bool { return c.tls.plainHTTP }

// Late reports whether the rest of the request has not arrived in time.
func (c *Conn) Late() bool { return c.in.late }

// ExpectBody says that the request with the head h has a body of n bytes, -1 for a chunked
// one. It reports whether all of it is there already; of a chunked one that is not known.
func (c *Conn) ExpectBody(h Head, n int) (arrived bool) {
	behind := c.in.ahead.behindHead(h)
	c.in.ahead.body(n)
	c.in.chunks = nil
	if n < 0 {
		c.in.chunks = &Chunks{}
		c.in.chunks.follow(behind)
		return false
	}
	return len(behind) >= n || c.tls.layer == nil && len(behind)+unread(c.Conn) >= n
}

// Chunks returns what is known of the body that ExpectBody announced; nil if it is not
// chunked.
func (c *Conn) Chunks() *Chunks { return c.in.chunks }
