package transport

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// problem makes the response a problem document.
func (p *portServer) problem(ctx *fasthttp.RequestCtx, t *problem.Type, detail string, errs ...problem.FieldError) {
	h := &ctx.Response.Header
	id := string(h.PeekBytes(headerRequestID))
	allow, retry := string(h.Peek(fasthttp.HeaderAllow)), string(h.PeekBytes(headerRetryAfter))
	challenge := string(h.Peek(fasthttp.HeaderWWWAuthenticate))
	ctx.Response.Reset() // nothing of a response that was begun may remain
	h.SetBytesK(headerRequestID, id)
	if allow != "" {
		h.Set(fasthttp.HeaderAllow, allow)
	}
	if challenge != "" {
		h.Set(fasthttp.HeaderWWWAuthenticate, challenge)
	}
	if retry == "" && t == problem.Unavailable {
		retry = "1"
	}
	if retry != "" {
		h.SetBytesK(headerRetryAfter, retry)
	}
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(t.Status)
	if t.Title != fasthttp.StatusMessage(t.Status) { // fasthttp has the words of older RFCs
		h.SetStatusMessage([]byte(t.Title))
	}
	ctx.SetContentType(problem.ContentType)
	doc := problem.Problem{Type: t, Detail: detail, Instance: requestPath(ctx), RequestID: id, Errors: errs}
	ctx.SetBody(doc.JSON())
	p.metrics.errorResponse(t)
}

// requestPath returns the path of the request as it was sent, without query and
// fragment; "/" of a target that has none or can't be parsed.
func requestPath(ctx *fasthttp.RequestCtx) string {
	target := ctx.Request.Header.RequestURI()
	if len(target) == 0 || target[0] != '/' { // absolute form (RFC 9112, section 3.2.2)
		target = ctx.URI().PathOriginal()
	}
	if i := bytes.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if len(target) == 0 || target[0] != '/' && target[0] != '*' {
		return "/"
	}
	return string(target)
}

func (p *portServer) notFound(ctx *fasthttp.RequestCtx) {
	p.problem(ctx, problem.NotFound, "There is nothing at this path. GET /openapi.json on the API port lists what there is.")
}

// onlyCommand reports whether a name is that of a command, beside which GET has a route for
// all names.
func (p *portServer) onlyCommand(name []byte) bool {
	return p.named != nil && p.named.commands[string(name)] != ""
}

// allow corrects the Allow field that the router has set: while nothing has the name of a
// command, there is nothing to get at its path.
func (p *portServer) allow(ctx *fasthttp.RequestCtx) {
	if p.named == nil {
		return
	}
	name, ok := p.named.name(ctx.URI().PathOriginal())
	if ok && p.onlyCommand(name) && !p.named.exists(name) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, p.named.commands[string(name)])
	}
}

// options says which methods a path has (RFC 9110, section 9.3.7). It grants
// nothing to pages of other origins: a browser's preflight fails.
func (p *portServer) options(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (p *portServer) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	p.problem(ctx, problem.MethodNotAllowed, fmt.Sprintf("The method %s is not allowed here; allowed: %s.",
		quoted(ctx.Method()), ctx.Response.Header.Peek(fasthttp.HeaderAllow)))
}

func (p *portServer) notInTime(ctx *fasthttp.RequestCtx) {
	p.problem(ctx, problem.RequestTimeout, fmt.Sprintf("The request did not arrive completely within %s of its first byte.", p.limits.ReadTimeout))
}

func (p *portServer) notWellFormed(ctx *fasthttp.RequestCtx) {
	p.problem(ctx, problem.Validation, "The request is not well-formed HTTP/1.1: check its request line, header fields and the framing of its body.")
}

func (p *portServer) payloadTooLarge(ctx *fasthttp.RequestCtx) {
	p.problem(ctx, problem.PayloadTooLarge, fmt.Sprintf("The body is larger than %d bytes.", p.limits.MaxRequestBody))
}

// quoted makes a client's input safe and short enough for a detail.
func quoted(b []byte) string {
	if len(b) > 64 {
		return strconv.Quote(string(b[:64])) + "..."
	}
	return strconv.Quote(string(b))
}
