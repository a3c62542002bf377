// Package middleware handles what all requests have in common. Each gets an identifier
// and is counted; it must be readable in only one way; its caller must be known, allowed
// and within the rate limit; its body is read only as far as it is wanted; and if
// anything fails, the response is a problem document.
//
// A [Chain] does this for the requests of one port. It checks in this order:
//
//	strict.go       is the request well-formed? (400, 505)
//	                the router of the port: is there such a path (404) and method (405)?
//	authorizer.go   is the caller within the rate limit (429), known (401), allowed (403)?
//	body.go         is the body JSON (415), and not too large (413)?
//	                the handler of the route
//
// What never becomes a request, such as a line that can't be parsed, is answered by
// refuse.go.
package middleware

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// Options configure a Chain. All fields but ServedBy are required.
type Options struct {
	Problem  reply.Problem
	Metrics  *Metrics
	Limits   Limits
	Bodies   *Bodies
	ServedBy string // value of X-Served-By in every response; empty for no such field
	// Route calls the handler of a request. The handlers must come from Handler or Wrap.
	Route fasthttp.RequestHandler
	Log   *zap.Logger
}

// Limits bounds what a request may take.
type Limits struct {
	ReadTimeout    time.Duration // for the whole request, from its first byte; the connections enforce it
	WriteTimeout   time.Duration // for a response
	MaxRequestBody int           // bytes
	MaxHeaderBytes int           // request line and header fields together
}

// A Chain does what the requests of a port need before and after their handlers. Handle,
// Judge, ProtocolError and HeaderReceived are the handlers for a fasthttp.Server.
type Chain struct {
	problem  reply.Problem
	metrics  *Metrics
	limits   Limits
	bodies   *Bodies
	servedBy []byte
	route    fasthttp.RequestHandler
	log      *zap.Logger

	plainHTTP fasthttp.RequestHandler // answers plain HTTP on a port with TLS
	draining  atomic.Bool
}

// New returns a Chain.
func New(o Options) *Chain {
	c := &Chain{problem: o.Problem, metrics: o.Metrics, limits: o.Limits, bodies: o.Bodies, servedBy: []byte(o.ServedBy), route: o.Route, log: o.Log}
	c.plainHTTP = c.Wrap(Unmatched, c.refusePlainHTTP)
	return c
}

// AnnounceClose makes responses announce from now on that their connection will be closed.
func (c *Chain) AnnounceClose() { c.draining.Store(true) }

// Unmatched is the route in metrics of requests that match no route.
const Unmatched = "unmatched"

var headerServedBy = []byte("X-Served-By")

// Handle answers a request. One that could be read in two ways is refused (strict.go);
// one with a body has been judged already (body.go).
func (c *Chain) Handle(ctx *fasthttp.RequestCtx) {
	if nc := conn.Of(ctx.Conn()); nc != nil {
		if nc.PlainHTTP() {
			c.plainHTTP(ctx)
			return
		}
		if phaseOf(nc) != noneLeft {
			c.handleJudged(ctx, nc)
			return
		}
	}
	how, ok := c.wellFormed(ctx)
	if !ok {
		return
	}
	c.route(ctx)
	if how == byChunks { // no chunk has arrived
		c.endConnection(ctx)
	}
}

// wellFormed reports whether a request can be read in only one way, and how the end of
// its body is known. If it can't, wellFormed has answered it.
func (c *Chain) wellFormed(ctx *fasthttp.RequestCtx) (how framing, ok bool) {
	h := &ctx.Request.Header
	if !spoken(h) {
		c.refuseRequest(ctx, c.versionNotSupported)
		return unframed, false
	}
	wrong, how := malformed(h)
	if wrong == "" {
		wrong = malformedTarget(h, ctx.URI())
	}
	if wrong != "" {
		c.refuseMalformed(ctx, wrong)
	}
	return how, wrong == ""
}

// Wrap returns h with everything that each response needs. Requests are counted as the
// route counted.
func (c *Chain) Wrap(counted string, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return c.wrap(c.metrics.route(counted), h)
}

func (c *Chain) wrap(r *routeMetrics, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		reply.SetRequestID(ctx)
		defer c.finish(ctx, r)
		h(ctx)
	}
}

// An Endpoint describes a route for a Chain.
type Endpoint struct {
	Counted string // the name of the route in metrics
	Pass    Pass   // lets callers pass; nil: everybody
	Body    Body   // the kind of body it takes
	Handler fasthttp.RequestHandler
}

// Handler returns the handler of an Endpoint with all checks in front of it.
func (c *Chain) Handler(e Endpoint) fasthttp.RequestHandler {
	r := c.metrics.route(e.Counted)
	if e.Body == NoBody {
		return c.wrapRoute(r, e.Pass, e.Handler)
	}
	var wants func(*fasthttp.RequestCtx) bool
	if e.Body == JSONBody {
		wants = c.wantsJSON
	}
	return c.wrapBody(r, e.Pass, wants, e.Handler)
}

// wrapRoute is wrap for the handler of a route. If pass is not nil, the handler sees only
// requests that pass it.
func (c *Chain) wrapRoute(r *routeMetrics, pass Pass, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return c.wrap(r, func(ctx *fasthttp.RequestCtx) {
		if pass != nil && !pass(ctx) {
			return
		}
		if tooLarge, _ := ctx.UserValue(bodyTooLarge{}).(bool); tooLarge {
			c.payloadTooLarge(ctx)
			return
		}
		h(ctx)
	})
}

// finish does what is left after each request, even after a panic.
func (c *Chain) finish(ctx *fasthttp.RequestCtx, r *routeMetrics) {
	if v := recover(); v != nil {
		c.metrics.panics.Inc()
		c.log.Error("A handler panicked; answered 500", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()),
			zap.String("path", loggedPath(ctx)), zap.String("request_id", reply.RequestID(ctx)))
		c.problem(ctx, problem.Internal, "The service failed on this request. The cause is in its log under this request_id.")
	}
	if len(c.servedBy) > 0 {
		ctx.Response.Header.SetCanonical(headerServedBy, c.servedBy)
	}
	var took time.Duration
	if nc := conn.Of(ctx.Conn()); nc != nil {
		var last bool
		if took, last = nc.Answered(&ctx.Request.Header, ctx.Response.IsBodyStream(), c.draining.Load()); last {
			ctx.Response.SetConnectionClose()
		}
	} else {
		took = time.Since(ctx.Time())
	}
	r.observe(ctx.Method(), ctx.Response.StatusCode(), took)
	if ce := c.log.Check(zap.DebugLevel, "Request"); ce != nil {
		ce.Write(zap.String("method", loggedMethod(ctx)), zap.String("path", loggedPath(ctx)),
			zap.Int("status", ctx.Response.StatusCode()), zap.Duration("duration", took),
			zap.String("request_id", reply.RequestID(ctx)), zap.Stringer("client", ctx.RemoteAddr()))
	}
}
