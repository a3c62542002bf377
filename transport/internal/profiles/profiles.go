// Package profiles serves the profiles of the process over HTTP.
package profiles

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	httppprof "net/http/pprof"
	"net/url"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// The profiles on the metrics port are those of net/http/pprof, in its formats,
// so that go tool pprof and the like take them. Its handlers are not used as they
// are: they answer errors in plain text, take what is no number for 30 s, and
// keep a server that stops waiting.
//
// Importing net/http/pprof also registers it with http.DefaultServeMux. Nothing
// here serves that.

const (
	// Path is that of the index.
	Path = "/debug/pprof"
	// maxProfileSeconds bounds a profile that takes time.
	maxProfileSeconds = 300
	// maxProfiles is how many profiles are taken at a time: each holds the stacks
	// of the whole process.
	maxProfiles = 4
)

// What is sampled while profiling is on. The profiles "mutex" and "block" would be
// empty otherwise.
const (
	mutexFraction = 100              // one in so many contentions
	blockRate     = time.Millisecond // each wait of at least this; of shorter ones a share
)

// A Profiler serves the profiles of the process. Its handlers are Index, Profile and Symbol.
type Profiler struct {
	life         context.Context
	problem      reply.Problem
	writeTimeout time.Duration
	log          *zap.Logger

	slots chan struct{}
	// until is when the CPU profile or trace under way ends, in Unix nanoseconds;
	// 0: there is none. They are taken one at a time: the runtime can take one of a
	// kind, and each would show what the other costs.
	until atomic.Int64
}

// New returns a Profiler. What it is doing when life is done ends then. A client has the
// writeTimeout to take a piece of a trace.
func New(life context.Context, problem reply.Problem, writeTimeout time.Duration, log *zap.Logger) *Profiler {
	return &Profiler{life: life, problem: problem, writeTimeout: writeTimeout, log: log, slots: make(chan struct{}, maxProfiles)}
}

// SampleContention notes where goroutines wait, until stop is called. The rates are those of
// the process, which has one server.
func SampleContention() (stop func()) {
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(int(blockRate))
	return func() {
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
	}
}

// Index answers with a page of what profiles there are.
func (p *Profiler) Index(ctx *fasthttp.RequestCtx) {
	// The links of the page begin where the path ends.
	if path := reply.Path(ctx); path[len(path)-1] != '/' {
		ctx.SetStatusCode(fasthttp.StatusMovedPermanently)
		ctx.Response.Header.Set(fasthttp.HeaderLocation, Path+"/")
		return
	}
	p.collect(ctx, http.HandlerFunc(httppprof.Index), "")
}

// Symbol names the functions at the program counters in the query or the body.
func (p *Profiler) Symbol(ctx *fasthttp.RequestCtx) {
	p.collect(ctx, http.HandlerFunc(httppprof.Symbol), string(ctx.URI().QueryString()))
}

// Profile answers with the profile that the path names.
func (p *Profiler) Profile(ctx *fasthttp.RequestCtx) {
	name := string(reply.LastSegment(ctx.URI().PathOriginal()))
	switch name {
	case "cmdline":
		p.collect(ctx, http.HandlerFunc(httppprof.Cmdline), "")
	case "profile", "trace":
		p.exclusive(ctx, name)
	default:
		if pprof.Lookup(name) == nil {
			p.problem(ctx, problem.NotFound, fmt.Sprintf("There is no profile %s. GET /debug/pprof/ lists those there are.", reply.Quoted([]byte(name))))
			return
		}
		q, ok := p.query(ctx, "seconds", "debug", "gc")
		if !ok {
			return
		}
		if ctx.IsHead() && q.duration > 0 {
			profileHead(ctx)
			return
		}
		p.collect(ctx, httppprof.Handler(name), q.values.Encode())
	}
}

// exclusive takes a CPU profile or a trace, unless one is being taken.
func (p *Profiler) exclusive(ctx *fasthttp.RequestCtx, name string) {
	usual := 30 * time.Second // as in net/http/pprof
	if name == "trace" {
		usual = time.Second
	}
	q, ok := p.query(ctx, "seconds", "debug") // the index has debug in its links, for profiles that have no text
	if !ok {
		return
	}
	d := cmp.Or(q.duration, usual)
	if ctx.IsHead() {
		profileHead(ctx)
		return
	}
	if !p.until.CompareAndSwap(0, time.Now().Add(d).UnixNano()) {
		p.busy(ctx)
		return
	}
	if name == "trace" {
		p.trace(ctx, d)
		return
	}
	defer p.until.Store(0)
	var out bytes.Buffer // the runtime writes it at the end, in one piece
	if err := pprof.StartCPUProfile(&out); err != nil {
		p.busy(ctx) // somebody else in this process takes one
		return
	}
	p.wait(d, nil)
	pprof.StopCPUProfile()
	profileFields(ctx, name)
	ctx.Response.SetBodyRaw(out.Bytes())
}

// wait waits for a time, or until the server ends or what is closed: a profile
// that ends early is a whole one of a shorter time.
func (p *Profiler) wait(d time.Duration, closed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.life.Done():
	case <-closed:
	}
}

// busy answers who wants a CPU profile or trace while one is being taken.
func (p *Profiler) busy(ctx *fasthttp.RequestCtx) {
	left := time.Until(time.Unix(0, p.until.Load()))
	reply.RetryAfter(ctx, strconv.Itoa(1+max(0, int(left.Seconds()))))
	p.problem(ctx, problem.Conflict, "A CPU profile or a trace is being taken already, and there is one at a time; try again when it has ended, as Retry-After says.")
}

// profileFields sets the header fields that net/http/pprof sends with a profile.
func profileFields(ctx *fasthttp.RequestCtx, name string) {
	h := &ctx.Response.Header
	h.SetContentType("application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
}

// profileHead answers a HEAD of what would take time.
func profileHead(ctx *fasthttp.RequestCtx) {
	profileFields(ctx, string(reply.LastSegment(ctx.URI().PathOriginal())))
	ctx.Response.SetBodyStream(bytes.NewReader(nil), -1) // of no known length
}

// collect answers with what a handler of net/http/pprof does. Of the request it
// sees the query, the method and the body.
func (p *Profiler) collect(ctx *fasthttp.RequestCtx, h http.Handler, query string) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		p.problem(ctx, problem.Unavailable, fmt.Sprintf("The service takes %d profiles at a time and no more; try again.", maxProfiles))
		return
	}
	r := &http.Request{Method: string(ctx.Method()), URL: &url.URL{Path: Path + "/", RawQuery: query}, Body: io.NopCloser(bytes.NewReader(ctx.Request.Body()))}
	answer := recorder{header: http.Header{}}
	h.ServeHTTP(&answer, r.WithContext(p.life))
	switch {
	case answer.status < 400:
	case p.life.Err() != nil:
		p.problem(ctx, problem.Unavailable, "The service stops, and the profile could not be completed.")
		return
	case answer.status == fasthttp.StatusBadRequest: // what this kind of profile does not have
		p.problem(ctx, problem.Validation, "The profile can't be taken like that: "+answer.text()+".")
		return
	default:
		p.log.Error("A profile could not be taken; answered 500: " + answer.text())
		p.problem(ctx, problem.Internal, "The service failed on this request. The cause is in its log under this request_id.")
		return
	}
	for name, values := range answer.header {
		ctx.Response.Header.Set(name, values[0])
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.SetBodyRaw(answer.Bytes())
}

// A recorder keeps what a handler answers.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int // 0 for 200
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

// text returns the words of an error.
func (r *recorder) text() string { return string(bytes.TrimSpace(r.Bytes())) }
