package middleware

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// The answers to what is no request, or none that can be taken.

// ProtocolError answers the errors that fasthttp meets before any handler
// runs.
func (c *Chain) ProtocolError(ctx *fasthttp.RequestCtx, err error) {
	var fault conn.Fault
	if nc := conn.Of(ctx.Conn()); nc != nil {
		fault = nc.Refused()
	}
	defer func() {
		// A response to HEAD has no body (RFC 9110, section 9.3.2). fasthttp forgets
		// the method of what it refuses.
		ctx.Response.SkipBody = ctx.IsHead() || fault.MethodHead
	}()
	c.Wrap(Unmatched, func(ctx *fasthttp.RequestCtx) {
		var small *fasthttp.ErrSmallBuffer
		switch {
		case fault.PlainHTTP:
			c.problem(ctx, problem.Validation, speaksTLS)
		case fault.Late: // of which fasthttp does not always tell
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

// refusePlainHTTP answers a request that came without TLS to a port that speaks
// TLS. It looks at nothing but what every problem document tells.
func (c *Chain) refusePlainHTTP(ctx *fasthttp.RequestCtx) {
	c.problem(ctx, problem.Validation, speaksTLS)
	c.endConnection(ctx)
}

// refuseRequest answers a request by h, and ends the connection: nothing that follows
// on it can be trusted to be a request.
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

// endConnection makes the response the last of its connection, whatever the
// client has sent behind the request.
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
