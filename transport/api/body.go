package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// bodyBuffer returns an empty slice to append a response's body to. It belongs to
// the request until the response has been sent.
func bodyBuffer(ctx *fasthttp.RequestCtx) []byte {
	if c := conn.Of(ctx.Conn()); c != nil {
		return c.BodyBuffer()
	}
	return ctx.Response.SwapBody(nil)[:0]
}

// setBody makes what bodyBuffer has become the body.
func setBody(ctx *fasthttp.RequestCtx, body []byte) {
	c := conn.Of(ctx.Conn())
	if c == nil {
		ctx.Response.SwapBody(body)
		return
	}
	c.SetBody(body)
	ctx.Response.SetBodyRaw(body)
}

// lasting says that the body of the response is not fasthttp's own, and stays as it
// is until the response has been sent.
func lasting(ctx *fasthttp.RequestCtx) {
	if c := conn.Of(ctx.Conn()); c != nil {
		c.BodyLasts()
	}
}
