package transport

import (
	"sync"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// Bodies that are put together for a request, as filtered lists are, are made in
// buffers that go from one request to the next. fasthttp's own pool drops those
// that are much larger than most, so that each such list would be allocated anew.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxMade is how many bytes of such bodies there may be on their way to clients. All
// other bodies are shared: only these cost more the more clients there are that don't
// read them.
const maxMade = 64 << 20

// tooManyMade answers a request whose response would need another such body, if there
// are too many.
func (p *portServer) tooManyMade(ctx *fasthttp.RequestCtx) bool {
	if c, _ := ctx.Conn().(*conn); c == nil || c.owner.made.Load() < maxMade {
		return false
	}
	ctx.Response.Header.SetBytesK(headerRetryAfter, "1")
	p.problem(ctx, problem.Unavailable, "Too many clients are slow to read the filtered lists that they asked for; try again, or ask for the whole list.")
	return true
}

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
	c.made = cap(body)
	c.owner.made.Add(int64(c.made))
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
		c.owner.made.Add(int64(-c.made))
		bodies.Put(c.body)
		c.body, c.made = nil, 0
	}
}
