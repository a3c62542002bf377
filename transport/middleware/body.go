package middleware

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// fasthttp reads the body of a request before any handler sees the request, into a buffer
// of the length that the client has announced. So a line with a large number would take
// as much memory as a large body, even in a request that will be refused.
//
// Here a request with a body is first judged by its head: its path, its method, its
// sender, its media type and its length. If it is refused, or its route takes no body, it
// is answered at once, and its connection ends unless the body has arrived already.
// Otherwise the body is read as it arrives, into a buffer that grows with it. All bodies
// together have a bound.
//
// Between head and body, fasthttp calls one handler: that of "Expect: 100-continue" (RFC
// 9110, section 10.1.1). So every request with a body is made to look as if it had that
// field, and the line "100 Continue" is left out for clients that have not sent it.

// A Body says which kind of body a route takes.
type Body int8

// The kinds of bodies.
const (
	NoBody   Body = iota // none; a body that is sent is not read
	JSONBody             // one with the media type application/json; it may be empty
	AnyBody              // any bytes
)

// A phase is a step in the handling of a request with a body.
type phase int8

const (
	noneLeft phase = iota // nothing is left to be read
	judging               // the head is being judged
	admitted              // the body is to be read, for the handler
	answered              // the response is made; what has arrived of the body is to be skipped
)

const (
	// maxSkipped is how much of an unwanted body fasthttp skips, in bytes.
	maxSkipped = 256 << 10
	// firstBodyBuffer is the initial size of a body's buffer.
	firstBodyBuffer = 512
)

// fieldAnnounced marks requests that only look as if they had sent "Expect:
// 100-continue". A client can't send a field with this name. Its value is the protocol.
const fieldAnnounced = "\x00announced"

var (
	errPlainHTTP   = errors.New("plain HTTP on a port that speaks TLS")
	expect100      = []byte("100-continue")
	mediaJSON      = []byte("application/json")
	protocolHTTP11 = []byte("HTTP/1.1")
)

// HeaderReceived is called by fasthttp with the head of each request. It makes fasthttp
// call Judge for requests with a body.
func HeaderReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if n := h.ContentLength(); n == 0 || n == -2 {
		return fasthttp.RequestConfig{}
	}
	if h.IsHTTP11() && bytes.EqualFold(h.Peek(fasthttp.HeaderExpect), expect100) {
		return fasthttp.RequestConfig{} // the client itself has sent the field
	}
	h.SetBytesV(fieldAnnounced, h.Protocol())
	h.SetBytesV(fasthttp.HeaderExpect, expect100)
	if !h.IsHTTP11() { // fasthttp ignores the field in HTTP/1.0, as it must
		h.SetProtocolBytes(protocolHTTP11)
	}
	return fasthttp.RequestConfig{}
}

// expects undoes the change of HeaderReceived, and reports whether the client itself
// waits for "100 Continue".
func expects(h *fasthttp.RequestHeader) bool {
	protocol := h.Peek(fieldAnnounced)
	if len(protocol) == 0 {
		return true
	}
	if !bytes.Equal(protocol, protocolHTTP11) {
		h.SetProtocolBytes(protocol)
	}
	h.Del(fieldAnnounced)
	h.Del(fasthttp.HeaderExpect)
	return false
}

// Judge is called by fasthttp for each request with a body, before any of it is read. It
// returns fasthttp.StatusContinue if fasthttp should go on with the request. Otherwise it
// has made the response, which is the last on its connection, and returns its status.
func (c *Chain) Judge(ctx *fasthttp.RequestCtx) int {
	h := &ctx.Request.Header
	asked := expects(h)
	nc := conn.Of(ctx.Conn())
	if nc == nil { // does not happen: all connections come from our listener
		return fasthttp.StatusContinue
	}
	if nc.PlainHTTP() {
		c.ProtocolError(ctx, errPlainHTTP)
		return ctx.Response.StatusCode()
	}
	length := h.ContentLength() // -1: chunked
	if length == 0 || length == -2 {
		nc.MuteContinue() // there is no body to wait for
		return fasthttp.StatusContinue
	}
	arrived := nc.ExpectBody(h, length)
	if _, ok := c.wellFormed(ctx); !ok {
		return ctx.Response.StatusCode()
	}
	tooLarge := max(length, nc.Chunks().Total()) > c.limits.MaxRequestBody
	if tooLarge {
		ctx.SetUserValue(bodyTooLarge{}, true)
	}
	k := keptWith(nc)
	k.phase = judging
	if nc.Chunks().Trailers() {
		k.phase = noneLeft
		c.refuseMalformed(ctx, trailersRefused)
		return ctx.Response.StatusCode()
	}
	c.route(ctx)
	switch {
	case k.phase == admitted:
		if asked {
			// fasthttp sets no deadline for writing the line. That of the last response
			// may have passed, and the connection would end without a word.
			nc.SetWriteDeadline(time.Now().Add(c.limits.WriteTimeout)) //nolint:errcheck // the write tells
		} else {
			nc.MuteContinue()
		}
		return fasthttp.StatusContinue
	case arrived && length <= maxSkipped && !tooLarge:
		k.phase = answered
		nc.MuteContinue()
		return fasthttp.StatusContinue
	}
	k.phase = noneLeft
	c.endConnection(ctx)
	return ctx.Response.StatusCode()
}

// bodyTooLarge is the key of a user value by which Judge tells handlers that the body is
// over the limit and has not been read.
type bodyTooLarge struct{}

// handleJudged answers a request with a body that Judge has let pass. A chunked body ends
// the connection, since fasthttp accepts framing that is not checked here.
func (c *Chain) handleJudged(ctx *fasthttp.RequestCtx, nc *conn.Conn) {
	if k := keptWith(nc); k.phase == answered {
		k.phase = noneLeft
	} else {
		c.route(ctx)
	}
	if nc.Chunks() != nil {
		c.endConnection(ctx)
	}
}

// wrapBody is wrapRoute for a route that takes a body. The body is read if pass lets the
// request pass and wants accepts it; wants answers a request that it refuses. Both may be
// nil.
func (c *Chain) wrapBody(r *routeMetrics, pass Pass, wants func(*fasthttp.RequestCtx) bool, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	admits := func(ctx *fasthttp.RequestCtx) bool {
		if pass != nil && !pass(ctx) || wants != nil && !wants(ctx) {
			return false
		}
		if tooLarge, _ := ctx.UserValue(bodyTooLarge{}).(bool); tooLarge {
			c.payloadTooLarge(ctx)
			return false
		}
		return true
	}
	whole := c.wrap(r, func(ctx *fasthttp.RequestCtx) {
		if !admits(ctx) {
			return
		}
		if ctx.Request.IsBodyStream() { // the Content-Length is 0
			ctx.Request.SetBodyRaw(nil)
		}
		h(ctx)
	})
	rest := c.wrap(r, func(ctx *fasthttp.RequestCtx) {
		release, ok := c.readBody(ctx)
		defer release()
		if ok {
			h(ctx)
		}
	})
	return func(ctx *fasthttp.RequestCtx) {
		nc := conn.Of(ctx.Conn())
		if nc == nil || phaseOf(nc) == noneLeft {
			whole(ctx)
			return
		}
		k := keptWith(nc)
		if k.phase == judging {
			if c.admit(ctx, r, admits) {
				k.phase = admitted
			}
			return
		}
		k.phase = noneLeft
		rest(ctx)
	}
}

// wantsJSON checks the media type and then the length of the body, before it is read. It
// answers and returns false if one of them is not acceptable.
func (c *Chain) wantsJSON(ctx *fasthttp.RequestCtx) bool {
	contentType := ctx.Request.Header.ContentType()
	media, _, _ := bytes.Cut(contentType, []byte{';'})
	if !bytes.EqualFold(bytes.TrimSpace(media), mediaJSON) {
		sent := "nothing was sent"
		if len(contentType) > 0 {
			sent = reply.Quoted(contentType) + " was sent"
		}
		c.problem(ctx, problem.UnsupportedMediaType, "The Content-Type must be application/json; "+sent+".")
		return false
	}
	if tooLarge, _ := ctx.UserValue(bodyTooLarge{}).(bool); tooLarge {
		c.payloadTooLarge(ctx)
		return false
	}
	if len(ctx.Request.Header.ContentEncoding()) > 0 {
		c.problem(ctx, problem.UnsupportedMediaType, "The Content-Encoding must be absent; "+reply.Quoted(ctx.Request.Header.ContentEncoding())+" was sent.")
		return false
	}
	return true
}

// admit does what wrap does, for a check that answers only if it refuses.
func (c *Chain) admit(ctx *fasthttp.RequestCtx, r *routeMetrics, admits func(*fasthttp.RequestCtx) bool) (ok bool) {
	reply.SetRequestID(ctx)
	defer func() {
		if v := recover(); v != nil || !ok {
			defer c.finish(ctx, r)
			if v != nil {
				panic(v)
			}
		}
	}()
	return admits(ctx)
}

// readBody reads the body into the request, where it is until release is called. If it
// can't, it answers so and returns false.
func (c *Chain) readBody(ctx *fasthttp.RequestCtx) (release func(), ok bool) {
	nc, stream, length := conn.Of(ctx.Conn()), ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	limit := c.limits.MaxRequestBody + 1 // one byte more shows that the body is too large
	if length >= 0 {
		limit = length
	}
	var body []byte
	held := 0
	release = func() { c.bodies.give(held) }
	for {
		if len(body) == cap(body) {
			size := min(max(2*cap(body), firstBodyBuffer), max(limit, 1))
			if size == cap(body) { // the whole body has arrived; only its end is left to be read
				size++
			}
			if !c.bodies.take(size - held) {
				reply.RetryAfter(ctx, "1")
				c.problem(ctx, problem.Unavailable, fmt.Sprintf("The bodies that are being received fill the %d bytes that there are for them; try again.", c.bodies.limit))
				c.endConnection(ctx)
				return release, false
			}
			held = size
			grown := make([]byte, len(body), size)
			copy(grown, body)
			body = grown
		}
		n, err := stream.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) && len(body) < length {
			err = io.ErrUnexpectedEOF
		}
		switch {
		case len(body) > c.limits.MaxRequestBody || nc.Chunks().Total() > c.limits.MaxRequestBody:
			c.payloadTooLarge(ctx)
		case errors.Is(err, io.EOF):
			ctx.Request.SetBodyRaw(body)
			return release, true
		case err != nil:
			c.bodyBroken(ctx, nc, err)
		default:
			continue
		}
		c.endConnection(ctx)
		return release, false
	}
}

// bodyBroken answers a request whose body can't be read.
func (c *Chain) bodyBroken(ctx *fasthttp.RequestCtx, nc *conn.Conn, err error) {
	var small *fasthttp.ErrSmallBuffer
	switch {
	case nc.Late():
		c.notInTime(ctx)
	case errors.As(err, &small):
		c.problem(ctx, problem.HeadersTooLarge, fmt.Sprintf("The trailer fields are longer than %d bytes.", c.limits.MaxHeaderBytes))
	default:
		if errors.Is(err, io.ErrUnexpectedEOF) && nc.Chunks().Between() {
			nc.MuteEverything() // the client has gone away between two chunks
		}
		c.notWellFormed(ctx)
	}
}

// Bodies bounds the memory of all request bodies that are being received or handled.
type Bodies struct {
	limit int64
	held  atomic.Int64
}

// NewBodies returns a Bodies with a limit in bytes.
func NewBodies(limit int) *Bodies { return &Bodies{limit: int64(limit)} }

// take takes n bytes of the limit. It returns false if fewer are left.
func (b *Bodies) take(n int) bool {
	if b.held.Add(int64(n)) > b.limit {
		b.held.Add(int64(-n))
		return false
	}
	return true
}

func (b *Bodies) give(n int) { b.held.Add(int64(-n)) }
