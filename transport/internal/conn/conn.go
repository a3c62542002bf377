package conn

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// A Conn is a connection to a client, with what the drain needs to know about it. An HTTP
// server closes an idle connection without checking whether a request has just arrived. A
// Conn checks: whoever wants it closed only wakes up its Read, and the goroutine in Read
// decides.
//
// Its methods are for the goroutine that serves the connection, except those of net.Conn
// that may be called concurrently.
type Conn struct {
	// Conn is the socket; nil while an event loop has the connection. It is set under the
	// listener's mutex.
	net.Conn
	owner  *Listener
	client netip.AddrPort // set by the event loops
	socket socket

	// Attachment is for the server; nil at first.
	Attachment Attachment

	idle   idleness
	in     reading
	out    writing
	body   responseBody
	tls    security
	ending ending

	prev, next *Conn // in the list of the listener
}

// Of returns nc as a *Conn; nil if it does not come from a Listener.
func Of(nc net.Conn) *Conn {
	c, _ := nc.(*Conn)
	return c
}

// An Attachment is what a server keeps with a connection between requests.
type Attachment interface {
	// Forget is called when the connection enters the idle set, and when it is closed.
	Forget()
}

// The states of a connection.
const (
	// waiting: the connection is idle; no byte of the next request has arrived.
	waiting int32 = iota
	// active: a request has begun, and its response has not been written yet.
	active
	// handshaking: a TLS handshake has begun and is not complete yet.
	handshaking
)

// idleness is the state of a connection as the drain needs it.
type idleness struct {
	state atomic.Int32
	// since is the instant at which the connection became idle, or at which the drain
	// first found it idle; 0 if neither is known.
	since atomic.Int64
	// woken is set when the drain ends the read deadline of a connection that has been
	// idle since then or longer. The drain means the connection if since is still not
	// later; 0 if it has not been woken.
	woken atomic.Int64
	// inSet is set while the connection is in the idle set.
	inSet atomic.Bool

	// The rest belongs to the goroutine that serves the connection.

	canEnter bool // it may go into the idle set
	entering bool // it is on its way there: the next Close must leave it open
}

// reading is the state of what the client sends. It belongs to the goroutine that serves
// the connection.
type reading struct {
	armed   instant // the socket's read deadline is at this instant or before; 0: none
	began   instant // when the first byte of the request arrived
	moved   instant // when the last read returned, or the last response was made
	greeted bool    // the client has sent something
	late    bool    // the rest of the request has not arrived in time
	ahead   ahead   // what was read and not used yet
	early   []byte  // what an event loop has read, and the server has not
	chunks  *Chunks // of the body that is being read; nil if it is not chunked
}

// writing is the state of what is sent to the client. It belongs to the goroutine that
// serves the connection, except for the deadlines.
type writing struct {
	limit atomic.Int64 // an instant, from SetWriteDeadline; 0: the WriteTimeout applies
	armed atomic.Int64 // the socket's write deadline is at this instant or before; 0: none

	streaming bool        // each write is sent at once
	broken    bool        // part of a response could not be sent
	batch     *writeBatch // what was written and has not been sent yet; nil if nothing
	muted     mute        // what to leave out of the next writes
	mutedCut  int8        // how many bytes of it the last write ended with
	rests     int         // how often a loop could not send all since the client was silent
}

// security is the state of TLS on a connection. It belongs to the goroutine that serves
// the connection.
type security struct {
	layer     *tlsLayer // nil without TLS
	plainHTTP bool      // the client speaks plain HTTP on a port with TLS
	hello     bool      // the client speaks TLS on a port without
}

// ending is how a connection will end.
type ending struct {
	expires instant // after this instant the next response should be the last; 0: never
	linger  bool    // the client may still be sending when the connection is closed
	closed  atomic.Bool
}

// A Head is the head of a request as it was read; only the lengths matter.
// *fasthttp.RequestHeader implements it.
type Head interface {
	Method() []byte
	RequestURI() []byte
	Protocol() []byte
	// RawHeaders returns the lines of the header fields and the empty line behind them,
	// or nothing if there are no fields.
	RawHeaders() []byte
}

// Begin must be called when the first byte of a request has been read.
func (c *Conn) Begin() {
	if c.in.ahead.between { // the request came together with one that has been answered
		c.in.began = c.in.moved
		c.in.ahead.beginUnread()
	}
	c.idle.state.Store(active)
}

// Answered must be called when the response to the request with the head h is made,
// before it is written. stream says that each write of it is to be sent at once, end that
// the caller wants the connection to end. took is the time since the request arrived.
//
// If the connection is to end, because the caller wants that or because it is too old,
// last reports whether this response must announce it. It must not if the client has sent
// more requests, which are answered first, unless the drain has to hurry.
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

// End must be called when the response has been written.
func (c *Conn) End() {
	if c.body.made != nil || !c.in.ahead.more {
		c.flush() //nolint:errcheck // the next read reports the error
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

// Arrived returns when the request that is being answered arrived. If it arrived together
// with the request before, that is the time at which the response before was made.
func (c *Conn) Arrived() time.Time { return c.in.moved.time() }

// Linger declares that the client may still be sending when the connection is closed.
// What it sends is then read for a while, so that the response reaches it.
func (c *Conn) Linger() { c.ending.linger = true }

// pipelined reports whether the client has sent more behind the request that is being
// answered. The response then must not announce the end of the connection, or the further
// requests would be lost.
func (c *Conn) pipelined() bool {
	left := c.in.ahead.left()
	switch {
	case left > 0:
		return true
	case c.tls.layer == nil:
		return int64(unread(c.Conn)+len(c.in.early)) > -left
	case left < 0: // part of the body is still to be read, so that what follows it is not known
		return true
	}
	return c.tls.layer.more()
}

// A Fault is what is known about a request that could not be read, even if the server has
// dropped it.
type Fault struct {
	PlainHTTP  bool // the client speaks plain HTTP on a port with TLS
	TLSHello   bool // the client speaks TLS on a port without
	Late       bool // the rest of the request has not arrived in time
	Version    bool // the request has a version of HTTP other than 1.1 and 1.0
	NoLine     bool // the first line has no end
	MethodHead bool // it is a HEAD request: the response must not have a body
}

// Refused must be called when what was read is no valid request. The response to it ends
// the connection.
func (c *Conn) Refused() Fault {
	// By now the server has given its read buffer to another connection.
	c.in.ahead.forget()
	c.Linger()
	line := c.in.ahead.line
	return Fault{
		PlainHTTP: c.tls.plainHTTP, TLSHello: c.tls.hello, Late: c.in.late,
		Version: line.version, NoLine: !line.complete, MethodHead: line.isHead,
	}
}

// PlainHTTP reports whether the client speaks plain HTTP on a port with TLS.
func (c *Conn) PlainHTTP() bool { return c.tls.plainHTTP }

// Late reports whether the rest of the request has not arrived in time.
func (c *Conn) Late() bool { return c.in.late }

// ExpectBody must be called when the request with the head h has a body of n bytes; -1
// means chunked. It reports whether the whole body has arrived already; for a chunked
// body, which can't be known, it returns false.
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

// Chunks returns the chunks of the body that ExpectBody announced; nil if it is not
// chunked.
func (c *Conn) Chunks() *Chunks { return c.in.chunks }
