// Package profiles serves the profiles of the process over HTTP, in the formats of
// net/http/pprof, so that go tool pprof can read them. The handlers are methods of a
// [Profiler].
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

// The profiles come from the handlers of net/http/pprof, which are wrapped for three
// reasons: they answer errors in plain text, take a duration that is not a number for 30
// s, and keep a server that is stopping waiting.
//
// Importing net/http/pprof also registers its handlers with http.DefaultServeMux, which
// nothing here serves.

const (
	// Path is the path of the index.
	Path = "/debug/pprof"
	// maxProfileSeconds bounds the duration of a CPU profile or a trace.
	maxProfileSeconds = 300
	// maxProfiles bounds how many profiles are taken at the same time. Each holds the
	// stacks of the whole process.
	maxProfiles = 4
)

// Sampling rates. Without sampling, the profiles "mutex" and "block" would be empty.
const (
	mutexFraction = 100              // one contention in so many
	blockRate     = time.Millisecond // each wait of at least this, and a share of the shorter ones
)

// A Profiler serves the profiles of the process. Its handlers are Index, Profile and Symbol.
type Profiler struct {
	life         context.Context
	problem      reply.Problem
	writeTimeout time.Duration
	log          *zap.Logger

	slots chan struct{}
	// until is when the CPU profile or trace under way ends, in Unix nanoseconds; 0 if
	// there is none. Only one is taken at a time: the runtime can take only one of each
	// kind, and each would show the cost of the other.
	until atomic.Int64
}

// New returns a Profiler. A profile under way ends early when life ends. A client has
// writeTimeout to read each piece of a trace.
func New(life context.Context, problem reply.Problem, writeTimeout time.Duration, log *zap.Logger) *Profiler {
	return &Profiler{life: life, problem: problem, writeTimeout: writeTimeout, log: log, slots: make(chan struct{}, maxProfiles)}
}

// SampleContention starts to sample where goroutines wait, until stop is called. The
// sampling rates apply to the whole process, so it may be used by one server at a time.
func SampleContention() (stop func()) {
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(int(blockRate))
	return func() {
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
	}
}

// Index answers with a page that lists the profiles.
func (p *Profiler) Index(ctx *fasthttp.RequestCtx) {
	// The links of the page are relative, so its path must end with a slash.
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

// exclusive takes a CPU profile or a trace, unless another one is under way.
func (p *Profiler) exclusive(ctx *fasthttp.RequestCtx, name string) {
	usual := 30 * time.Second // as in net/http/pprof
	if name == "trace" {
		usual = time.Second
	}
	q, ok := p.query(ctx, "seconds", "debug") // the index has links with debug, which these kinds of profiles ignore
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
	var out bytes.Buffer // the runtime writes the profile at its end, in one piece
	if err := pprof.StartCPUProfile(&out); err != nil {
		p.busy(ctx) // something else in this process takes one
		return
	}
	p.wait(d, nil)
	pprof.StopCPUProfile()
	profileFields(ctx, name)
	ctx.Response.SetBodyRaw(out.Bytes())
}

// wait waits for d, or until the server stops or closed is closed. A profile that ends
// early is complete, of a shorter time.
func (p *Profiler) wait(d time.Duration, closed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.life.Done():
	case <-closed:
	}
}

// busy answers a request for a CPU profile or trace while another one is under way.
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

// profileHead answers a HEAD request for a profile that takes time.
func profileHead(ctx *fasthttp.RequestCtx) {
	profileFields(ctx, string(reply.LastSegment(ctx.URI().PathOriginal())))
	ctx.Response.SetBodyStream(bytes.NewReader(nil), -1) // of unknown length
}

// collect answers with the response of a handler of net/http/pprof. The handler sees the
// query, the method and the body of the request.
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
	case answer.status == fasthttp.StatusBadRequest: // this kind of profile does not support what the query asks for
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

// A recorder is a http.ResponseWriter that keeps the response.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int // 0 means 200
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

// text returns the body, which is the text of an error.
func (r *recorder) text() string { return string(bytes.TrimSpace(r.Bytes())) }
