package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// bodyBuffer returns an empty slice to append the body of a response to. The slice may be
// used until the response has been sent.
func bodyBuffer(ctx *fasthttp.RequestCtx) []byte {
	if c := conn.Of(ctx.Conn()); c != nil {
		return c.BodyBuffer()
	}
	return ctx.Response.SwapBody(nil)[:0]
}

// setBody makes body, a slice from bodyBuffer that was appended to, the body of the
// response.
func setBody(ctx *fasthttp.RequestCtx, body []byte) {
	c := conn.Of(ctx.Conn())
	if c == nil {
		ctx.Response.SwapBody(body)
		return
	}
	c.SetBody(body)
	ctx.Response.SetBodyRaw(body)
}

// lasting declares that the body of the response stays unchanged until the response has
// been sent, so that it need not be copied.
func lasting(ctx *fasthttp.RequestCtx) {
	if c := conn.Of(ctx.Conn()); c != nil {
		c.BodyLasts()
	}
}
