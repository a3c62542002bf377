package transport

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// connOf returns the connection of a request; nil if it has none, as in tests.
func connOf(ctx *fasthttp.RequestCtx) *conn.Conn {
	c, _ := ctx.Conn().(*conn.Conn)
	return c
}

// kept is what the server keeps with a connection.
type kept struct {
	token auth.Recent
	phase phase // of a request with a body
}

// Forget is called when the connection is silent, or ends.
func (k *kept) Forget() { k.token.Forget() }

func keptWith(c *conn.Conn) *kept {
	k, ok := c.Attachment.(*kept)
	if !ok {
		k = &kept{}
		c.Attachment = k
	}
	return k
}

// phaseOf returns the phase of the request on a connection.
func phaseOf(c *conn.Conn) phase {
	if k, ok := c.Attachment.(*kept); ok {
		return k.phase
	}
	return noBody
}

// bodyBuffer returns an empty slice to append a response's body to. It belongs to
// the request until the response has been sent.
func bodyBuffer(ctx *fasthttp.RequestCtx) []byte {
	if c := connOf(ctx); c != nil {
		return c.BodyBuffer()
	}
	return ctx.Response.SwapBody(nil)[:0]
}

// setBody makes what bodyBuffer has become the body.
func setBody(ctx *fasthttp.RequestCtx, body []byte) {
	c := connOf(ctx)
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
	if c := connOf(ctx); c != nil {
		c.BodyLasts()
	}
}
