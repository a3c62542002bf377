package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/page"
)

const (
	// maxDrawings bounds how many pages are drawn at the same time, so that lookups keep
	// the processors.
	maxDrawings = 2
	// drawingPatience is how long a request waits for its turn. With 10,000 back ends a page
	// takes 15 ms of a processor.
	drawingPatience = 2 * time.Second
)

// pageHeaders are those of every page. The page is neither framed, nor kept by caches, since
// it is for callers with the right to it.
var pageHeaders = []struct{ name, value string }{
	{"Content-Security-Policy", page.Policy},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"}, // for browsers that don't know frame-ancestors
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cache-Control", "no-store"},
	{"Vary", "Accept, Accept-Encoding"},
}

// Page answers with the page for people. It is no lookup: it draws what it shows, from the
// current snapshot, with bounds on its size and on how many are drawn at the same time.
func (a *API) Page(ctx *fasthttp.RequestCtx) {
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	q, mistakes := page.Parse(ctx.QueryArgs().All())
	var wrong []problem.FieldError
	for _, m := range mistakes {
		wrong = append(wrong, problem.InQuery(m.Field, m.Message))
	}
	if !a.rightQuery(ctx, wrong) {
		return
	}
	if c := conn.Of(ctx.Conn()); c != nil && c.TooManyBodies() {
		a.problem(ctx, problem.Unavailable, "Too many clients are slow to read what they asked for; try again.")
		return
	}
	var explanation any
	if q.Explain != (service.Key{}) {
		document, ok := a.explained(ctx, q.Explain)
		if !ok {
			return
		}
		explanation = document
	}
	if !a.takeDrawing() {
		a.problem(ctx, problem.Unavailable, "Too many pages are being drawn; try again in a second.")
		return
	}
	defer func() { <-a.drawings }()
	state := page.State{Version: a.versionText}
	if a.pageState != nil {
		state = a.pageState()
	}
	state.Explains = a.explain != nil
	var html bytes.Buffer
	if err := a.page.Write(&html, snap, &state, &q, explanation); err != nil {
		panic(err) // of this package; the middleware answers 500
	}
	for _, h := range pageHeaders {
		ctx.Response.Header.Set(h.name, h.value)
	}
	if w := a.status.Load().warning; w != nil {
		ctx.Response.Header.SetCanonical(headerWarning, w)
	}
	ctx.SetContentType("text/html; charset=utf-8")
	body := bodyBuffer(ctx)
	if a.wantsGzip(ctx) {
		body = appendGzip(body, html.Bytes())
	} else {
		body = append(body, html.Bytes()...)
	}
	setBody(ctx, body)
}

// takeDrawing waits for the turn of a request to draw, and reports whether it has come.
func (a *API) takeDrawing() bool {
	select {
	case a.drawings <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(drawingPatience)
	defer timer.Stop()
	select {
	case a.drawings <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

// compressors are reused: each has tables of more than a megabyte. fasthttp's would leave a
// goroutine behind for each processor.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil { // the level is valid
		panic(err)
	}
	return z
}}

func appendGzip(dst, plain []byte) []byte {
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	out := bytes.NewBuffer(dst)
	z.Reset(out)
	_, err := z.Write(plain)
	if err = errors.Join(err, z.Close()); err != nil { // a buffer takes everything
		panic(err)
	}
	return out.Bytes()
}
