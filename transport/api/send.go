package api

import (
	"bytes"
	"sync"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// This file is the lookup path: up to a successful answer, nothing in it renders, locks
// or allocates.

// Names of fields are in canonical form. fasthttp would otherwise convert them for each
// request.
var (
	contentJSON    = []byte("application/json")
	valueGzip      = []byte("gzip")
	valueNoCache   = []byte("no-cache") // caches must revalidate it, by its entity tag
	valueVary      = []byte("Accept-Encoding")
	headerETag     = []byte("Etag")
	headerWarning  = []byte("Warning")
	headerEncoding = []byte("Content-Encoding")
	headerCache    = []byte("Cache-Control")
	headerVary     = []byte("Vary")

	headerIfNoneMatch = []byte("If-None-Match")
)

// readHeaders sets the headers of every read.
func (a *API) readHeaders(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetCanonical(headerCache, valueNoCache)
	h.SetCanonical(headerVary, valueVary)
	if w := a.status.Load().warning; w != nil {
		h.SetCanonical(headerWarning, w)
	}
}

// fresh sets the headers of a document with this entity tag. If the client has that
// document already, fresh answers 304 and returns true.
func (a *API) fresh(ctx *fasthttp.RequestCtx, tag []byte) bool {
	a.readHeaders(ctx)
	ctx.Response.Header.SetCanonical(headerETag, tag)
	if matches(ctx.Request.Header.PeekCanonical(headerIfNoneMatch), tag) {
		ctx.Response.SkipBody = true
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return true
	}
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	return false
}

// wantsGzip reports whether the client accepts gzip, and sets the headers of a compressed
// answer if so.
func (a *API) wantsGzip(ctx *fasthttp.RequestCtx) bool {
	if !acceptsGzip(ctx.Request.Header.PeekCanonical(valueVary)) {
		return false
	}
	ctx.Response.Header.SetCanonical(headerEncoding, valueGzip)
	return true
}

// send answers with a rendered body, compressed if the client accepts that.
func (a *API) send(ctx *fasthttp.RequestCtx, b *snapshot.Body) {
	lasting(ctx)
	switch {
	case a.fresh(ctx, b.ETag):
	case a.wantsGzip(ctx):
		ctx.Response.SetBodyRaw(b.Gzip)
	default:
		ctx.Response.SetBodyRaw(b.JSON)
	}
}

// sendList answers with those members of a list that f selects.
func (a *API) sendList(ctx *fasthttp.RequestCtx, c *snapshot.Collection, f *snapshot.Filter) {
	if f.All() {
		a.sendAnswer(ctx, c.Answer)
		return
	}
	var buf [192]byte
	if a.fresh(ctx, c.AppendETag(buf[:0], f)) {
		return
	}
	if c := conn.Of(ctx.Conn()); c != nil && c.TooManyBodies() {
		reply.RetryAfter(ctx, "1")
		a.problem(ctx, problem.Unavailable, "Too many clients are slow to read the filtered lists that they asked for; try again, or ask for the whole list.")
		return
	}
	body := bodyBuffer(ctx)
	if a.wantsGzip(ctx) {
		body = c.AppendGzip(body, f)
	} else {
		body = c.AppendJSON(body, f)
	}
	setBody(ctx, body)
}

// sendAnswer answers with a whole document.
func (a *API) sendAnswer(ctx *fasthttp.RequestCtx, whole *snapshot.Answer) {
	if body := whole.Body(); body != nil {
		a.send(ctx, body)
		return
	}
	if a.fresh(ctx, whole.ETag()) {
		return
	}
	lasting(ctx)
	stream := streams.Get().(*answerStream)
	size := stream.Reset(whole, a.wantsGzip(ctx))
	ctx.Response.SetBodyStream(stream, size)
}

// An answerStream sends a large document from the memory of the snapshot. A copy for each
// connection would be as large as everything the service knows.
type answerStream struct{ snapshot.Stream }

var streams = sync.Pool{New: func() any { return new(answerStream) }}

// SupportsBodyWriteTo makes fasthttp use WriteTo.
func (s *answerStream) SupportsBodyWriteTo() bool { return true }

// Close is called when the response has been sent, or will not be.
func (s *answerStream) Close() error {
	s.Reset(nil, false) // so that it keeps no snapshot
	streams.Put(s)
	return nil
}

// matches reports whether an If-None-Match field has tag (RFC 9110, section 13.1.2: a
// list, or "*"; the comparison is weak).
func matches(field, tag []byte) bool {
	if len(field) == 0 {
		return false
	}
	if len(field) == 1 && field[0] == '*' {
		return true
	}
	for len(field) > 0 {
		i := bytes.IndexByte(field, '"')
		if i < 0 {
			return false
		}
		end := bytes.IndexByte(field[i+1:], '"')
		if end < 0 {
			return false
		}
		if bytes.Equal(field[i:i+end+2], tag) {
			return true
		}
		field = field[i+end+2:]
	}
	return false
}

// acceptsGzip reports whether an Accept-Encoding field admits gzip (RFC 9110, section
// 12.5.3): it has gzip, x-gzip or *, and not with q=0.
func acceptsGzip(field []byte) bool {
	any, gzip := false, -1
	for len(field) > 0 {
		item := field
		if i := bytes.IndexByte(field, ','); i >= 0 {
			item, field = field[:i], field[i+1:]
		} else {
			field = nil
		}
		coding, params, _ := bytes.Cut(item, []byte{';'})
		coding = bytes.TrimSpace(coding)
		allowed := !zeroWeight(params)
		switch {
		case equalFold(coding, "gzip"), equalFold(coding, "x-gzip"):
			gzip = 0
			if allowed {
				gzip = 1
			}
		case len(coding) == 1 && coding[0] == '*':
			any = allowed
		}
	}
	return gzip == 1 || gzip < 0 && any
}

// zeroWeight reports whether the parameters of a coding have a weight of 0: q=0, q=0.0,
// and so on.
func zeroWeight(params []byte) bool {
	for len(params) > 0 {
		p := params
		if i := bytes.IndexByte(params, ';'); i >= 0 {
			p, params = params[:i], params[i+1:]
		} else {
			params = nil
		}
		p = bytes.TrimSpace(p)
		if len(p) > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			return len(bytes.Trim(p[2:], "0.")) == 0
		}
	}
	return false
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i] && c != lower[i] {
			return false
		}
	}
	return true
}
