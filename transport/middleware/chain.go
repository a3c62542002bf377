// Package middleware is what every request passes, whatever it asks for: it has an
// identifier and is counted; it can be read in one way only; its caller is known, may call,
// and has a request left; its body is taken as far as it is wanted; and whatever goes wrong,
// the response is a problem document.
//
// A [Chain] holds that for the requests of one port. The order of what it checks is:
//
//	strict.go       is it well-formed? (400, 505)
//	                the router of the port: path (404) and method (405)
//	authorizer.go   has the caller a request left (429), who is it (401), may it (403)
//	body.go         is the body JSON (415), and no larger than bodies may be (413)
//	                the handler of the route
//
// What never becomes a request, such as a line that no parser takes, is answered by
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

// Options configure a Chain. All are required but ServedBy.
type Options struct {
	Problem  reply.Problem
	Metrics  *Metrics
	Limits   Limits
	Bodies   *Bodies
	ServedBy string // names this instance in the X-Served-By header of every response
	// Route calls the handler of a request, which is one that Handler or Wrap returned.
	Route fasthttp.RequestHandler
	Log   *zap.Logger
}

// Limits bound what a request may take.
type Limits struct {
	ReadTimeout    time.Duration // for the whole of it, from its first byte; connections keep it
	WriteTimeout   time.Duration // for a response
	MaxRequestBody int           // bytes
	MaxHeaderBytes int           // request line and header fields together
}

// A Chain is what the requests of a port pass before and behind their handlers. Handle,
// Judge, ProtocolError and HeaderReceived are the handlers of a fasthttp.Server.
type Chain struct {
	problem  reply.Problem
	metrics  *Metrics
	limits   Limits
	bodies   *Bodies
	servedBy []byte
	route    fasthttp.RequestHandler
	log      *zap.Logger

	plainHTTP fasthttp.RequestHandler // answers who speaks no TLS where it is spoken
	draining  atomic.Bool
}

// New returns a Chain.
func New(o Options) *Chain {
	c := &Chain{problem: o.Problem, metrics: o.Metrics, limits: o.Limits, bodies: o.Bodies, servedBy: []byte(o.ServedBy), route: o.Route, log: o.Log}
	c.plainHTTP = c.Wrap(Unmatched, c.refusePlainHTTP)
	return c
}

// Drain has every response announce the end of its connection from now on.
func (c *Chain) Drain() { c.draining.Store(true) }

// Unmatched is how requests are counted that are for no route.
const Unmatched = "unmatched"

var headerServedBy = []byte("X-Served-By")

// Handle answers a request: one that could be read in two ways is refused
// (strict.go), and one with a body has been looked at before (body.go).
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
	if how == byChunks { // of which none was there
		c.endConnection(ctx)
	}
}

// wellFormed reports whether a request can be read in one way only, and how the end
// of its body is known. If not, it is answered.
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

// Wrap makes a handler into one that keeps what every response promises, and is counted as
// a route.
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

// An Endpoint is a route as a Chain knows it.
type Endpoint struct {
	Counted string // how its requests are counted
	Pass    Pass   // lets its callers pass; nil: everybody
	Body    Body   // what it takes
	Handler fasthttp.RequestHandler
}

// Handler returns the handler of an Endpoint with all that its requests pass.
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

// wrapRoute is wrap for the handler of a route, which only sees what the Pass lets pass, if
// there is one.
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

// finish ends every request, panicked or not.
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
