package middleware

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// Answers to what is not a request, or can't be accepted as one.

// ProtocolError answers the errors that fasthttp finds before any handler is called.
func (c *Chain) ProtocolError(ctx *fasthttp.RequestCtx, err error) {
	var fault conn.Fault
	if nc := conn.Of(ctx.Conn()); nc != nil {
		fault = nc.Refused()
	}
	defer func() {
		// A response to HEAD has no body (RFC 9110, section 9.3.2). fasthttp drops the
		// method of a request that it refuses.
		ctx.Response.SkipBody = ctx.IsHead() || fault.MethodHead
	}()
	c.Wrap(Unmatched, func(ctx *fasthttp.RequestCtx) {
		var small *fasthttp.ErrSmallBuffer
		switch {
		case fault.PlainHTTP:
			c.problem(ctx, problem.Validation, speaksTLS)
		case fault.Late: // fasthttp does not always return an error for it
			c.notInTime(ctx)
		case fault.Version:
			c.versionNotSupported(ctx)
		case fault.TLSHello:
			c.problem(ctx, problem.Validation, "This port speaks plain HTTP, not TLS: ask with http:// instead of https://.")
		case errors.As(err, &small) && fault.NoLine:
			c.problem(ctx, problem.URITooLong, fmt.Sprintf("The request line is longer than %d bytes.", c.limits.MaxHeaderBytes))
		case errors.As(err, &small):
			c.problem(ctx, problem.HeadersTooLarge, fmt.Sprintf("The request line and header fields are longer than %d bytes together.", c.limits.MaxHeaderBytes))
		default:
			c.notWellFormed(ctx)
		}
	})(ctx)
}

const speaksTLS = "This port speaks TLS only: ask with https:// instead of http://."

// refusePlainHTTP answers a plain HTTP request on a port with TLS. It looks only at what
// every problem document contains.
func (c *Chain) refusePlainHTTP(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.Validation, speaksTLS)
	c.endConnection(ctx)
}

// refuseRequest answers a request by h and ends the connection, since nothing behind the
// request can be trusted to be another one.
func (c *Chain) refuseRequest(ctx *fasthttp.RequestCtx, h fasthttp.RequestHandler) {
	c.Wrap(Unmatched, h)(ctx)
	c.endConnection(ctx)
}

// refuseMalformed answers a request that is not well-formed.
func (c *Chain) refuseMalformed(ctx *fasthttp.RequestCtx, why string) {
	c.refuseRequest(ctx, func(ctx *fasthttp.RequestCtx) {
		c.problem(ctx, problem.Validation, why+" The connection ends here.")
	})
}

func (c *Chain) versionNotSupported(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.VersionNotSupported, "This service speaks HTTP/1.1 and HTTP/1.0. The connection ends here.")
}

// endConnection makes the response the last on its connection, even if the client has
// sent more behind the request.
func (c *Chain) endConnection(ctx *fasthttp.RequestCtx) {
	ctx.Response.SetConnectionClose()
	if nc := conn.Of(ctx.Conn()); nc != nil {
		nc.Linger()
	}
}

func (c *Chain) notInTime(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.RequestTimeout, fmt.Sprintf("The request did not arrive completely within %s of its first byte.", c.limits.ReadTimeout))
}

func (c *Chain) notWellFormed(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.Validation, "The request is not well-formed HTTP/1.1: check its request line, header fields and the framing of its body.")
}

func (c *Chain) payloadTooLarge(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.PayloadTooLarge, fmt.Sprintf("The body is larger than %d bytes.", c.limits.MaxRequestBody))
}
