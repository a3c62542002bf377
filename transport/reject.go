package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// reject answers a connection over the limit.
func (p *port) reject(to io.Writer, r conn.Rejection) error {
	var request fasthttp.Request
	request.Header.DisableSpecialHeader()
	var parsed fasthttp.Request // of a malformed head, nothing gets into request
	if parsed.Header.Read(bufio.NewReader(bytes.NewReader(r.Head))) == nil {
		parsed.CopyTo(&request)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, r.Client, middleware.QuietLogger{Log: p.log})
	p.chain.Wrap(middleware.Unmatched, func(ctx *fasthttp.RequestCtx) {
		reply.RetryAfter(ctx, "1")
		p.problem(ctx, problem.Unavailable, fmt.Sprintf("The service has reached its limit of %d connections; try again, or reuse connections.", p.limits.MaxConnections))
	})(&ctx)
	ctx.Response.SetConnectionClose()
	ctx.Response.SkipBody = r.MethodHead || ctx.IsHead()
	w := bufio.NewWriter(to)
	if err := ctx.Response.Write(w); err != nil {
		return err
	}
	return w.Flush()
}
