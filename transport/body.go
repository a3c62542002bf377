package transport

import (
	"sync"

	"github.com/valyala/fasthttp"
)

// Bodies that are put together for a request, as filtered lists are, are made in
// buffers that go from one request to the next. fasthttp's own pool drops those
// that are much larger than most, so that each such list would be allocated anew.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// bodyBuffer returns an empty slice to append a response's body to. It belongs to
// the request until the response has been sent.
func bodyBuffer(ctx *fasthttp.RequestCtx) []byte {
	c, _ := ctx.Conn().(*conn)
	if c == nil { // a request without a connection: its response has a buffer
		return ctx.Response.SwapBody(nil)[:0]
	}
	if c.body == nil {
		c.body = bodies.Get().(*[]byte)
	}
	return (*c.body)[:0]
}

// setBody makes what bodyBuffer has become the body.
func setBody(ctx *fasthttp.RequestCtx, body []byte) {
	c, _ := ctx.Conn().(*conn)
	if c == nil {
		ctx.Response.SwapBody(body)
		return
	}
	*c.body = body
	c.lasting = true
	ctx.Response.SetBodyRaw(body)
}

// lasting says that the body of the response is not fasthttp's own, and stays as it
// is until the response has been sent.
func lasting(ctx *fasthttp.RequestCtx) {
	if c, _ := ctx.Conn().(*conn); c != nil {
		c.lasting = true
	}
}

func (c *conn) returnBody() {
	if c.body != nil {
		bodies.Put(c.body)
		c.body = nil
	}
}
