package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// A portServer is one listening port: the fasthttp server with its routes, its
// connections, and everything that holds for each of its responses: request
// identifiers, problem documents, metrics, and the end of connections.
type portServer struct {
	name      string
	log       *zap.Logger
	metrics   *httpMetrics
	limits    Limits
	listener  *conn.Listener
	server    *fasthttp.Server
	routes    *router.Router
	named     *nameRoute              // nil if no route has a name in it
	servedBy  []byte                  // of X-Served-By; empty for none
	unmatched fasthttp.RequestHandler // answers that there is nothing
	bodies    *bodyBudget
	tls       *serverTLS // nil: plain HTTP
	draining  atomic.Bool
	served    chan error // the result of Serve
}

// Limits bound what clients can take of a portServer. Each must be positive
// except MaxConnectionAge.
type Limits struct {
	ReadTimeout      time.Duration // for a whole request, from its first byte
	WriteTimeout     time.Duration // for a response, or one event of a stream
	IdleTimeout      time.Duration // between requests of a connection
	MaxConnections   int
	MaxRequestBody   int // bytes
	MaxBodyMemory    int // bytes of all bodies being received or handled; at least one of MaxRequestBody fits
	MaxHeaderBytes   int // request line and header fields together
	MaxConnectionAge time.Duration
}

func newPortServer(name string, log *zap.Logger, m *httpMetrics, limits Limits) *portServer {
	f := &portServer{name: name, log: log, metrics: m, limits: limits, served: make(chan error, 1)}
	f.routes = router.New()
	f.routes.RedirectTrailingSlash = false
	f.routes.RedirectFixedPath = false
	f.routes.HandleOPTIONS = true
	f.routes.SaveMatchedRoutePath = false
	unmatched := m.route("unmatched")
	f.unmatched = f.wrap(unmatched, f.notFound)
	f.routes.NotFound = f.unmatched
	f.routes.MethodNotAllowed = f.wrap(unmatched, f.methodNotAllowed)
	f.routes.GlobalOPTIONS = f.wrap(unmatched, f.options)
	// The times that clients have are kept by the connections.
	f.server = &fasthttp.Server{
		Handler:                       f.handle,
		ErrorHandler:                  f.protocolError,
		HeaderReceived:                announced,
		ExpectHandler:                 f.judge,
		StreamRequestBody:             true,
		Name:                          "dynamic-toolset",
		ReadBufferSize:                limits.MaxHeaderBytes,
		MaxRequestBodySize:            1,                                           // of what is read before the handler runs; see requestbody.go
		Concurrency:                   2*limits.MaxConnections + conn.MaxRejecting, // the listener's own limit comes first, and counts those that end no more
		ConnState:                     connState,
		NoDefaultServerHeader:         true,
		SecureErrorLogMessage:         true,
		DisablePreParseMultipartForm:  true,
		Logger:                        quietLogger{log},
		TCPKeepalive:                  true,
		LazyRequestTime:               true,
		WriteBufferSize:               conn.WriteBufferSize,
		DisableHeaderNamesNormalizing: false,
	}
	return f
}

// connState follows each connection's requests for the drain.
func connState(nc net.Conn, s fasthttp.ConnState) {
	c, ok := nc.(*conn.Conn)
	if !ok {
		return
	}
	switch s {
	case fasthttp.StateActive:
		c.Begin()
	case fasthttp.StateIdle:
		c.End()
	default: // new, hijacked, closed: nothing to follow
	}
}

// open begins to listen; serve begins to serve what is accepted.
func (p *portServer) open(ctx context.Context, addr string) error {
	tcp, err := conn.Listen(ctx, addr)
	if err != nil {
		return err
	}
	p.accept(tcp)
	return nil
}

// accept makes p serve what a socket accepts.
func (p *portServer) accept(socket net.Listener) {
	l := p.limits
	o := conn.Options{
		Limits: conn.Limits{
			ReadTimeout: l.ReadTimeout, WriteTimeout: l.WriteTimeout, IdleTimeout: l.IdleTimeout,
			MaxConnections: l.MaxConnections, MaxAge: l.MaxConnectionAge,
		},
		Serve: func(c net.Conn) {
			if err := p.server.ServeConn(c); err != nil {
				quietLogger{p.log}.Printf("%v of %v", err, c.RemoteAddr())
			}
		},
		Reject: p.reject,
		Log:    p.log,
	}
	if p.tls != nil {
		o.TLS = &conn.TLS{Config: p.tls.config.Load, Failed: p.tls.failed}
	}
	p.listener = conn.New(socket, o)
}

func (p *portServer) serve() {
	go func() { p.served <- p.server.Serve(p.listener) }()
}

// use makes p serve routes, those that need it behind the authorizer, which may be nil.
func (p *portServer) use(routes []route, a *authorizer) {
	p.named = byName(routes)
	for _, r := range routes {
		var wants func(*fasthttp.RequestCtx) bool
		if r.body == jsonBody {
			wants = p.wantsJSON
		}
		counted, pass := p.metrics.route(r.pattern()), a.of(p, &r)
		h := p.wrapRoute(counted, pass, r.handler)
		if r.body != bodyless {
			h = p.wrapBody(counted, pass, wants, r.handler)
		}
		for _, method := range r.methods() {
			p.routes.Handle(method, r.path, h)
		}
		if p.named != nil && r.path == p.named.prefix+"{name}" {
			p.named.handler = h
		}
	}
}

// handle answers a request: one that could be read in two ways is refused
// (strict.go), and one with a body has been looked at before (requestbody.go).
func (p *portServer) handle(ctx *fasthttp.RequestCtx) {
	if c := connOf(ctx); c != nil && phaseOf(c) != noBody {
		p.handleJudged(ctx, c)
		return
	}
	how, ok := p.wellFormed(ctx)
	if !ok {
		return
	}
	p.route(ctx)
	if how == byChunks { // of which none was there
		p.endConnection(ctx)
	}
}

// wellFormed reports whether a request can be read in one way only, and how the end
// of its body is known. If not, it is answered.
func (p *portServer) wellFormed(ctx *fasthttp.RequestCtx) (how framing, ok bool) {
	h := &ctx.Request.Header
	if !spoken(h) {
		p.refuseRequest(ctx, p.versionNotSupported)
		return unframed, false
	}
	wrong, how := malformed(h)
	if wrong == "" {
		wrong = malformedTarget(h, ctx.URI())
	}
	if wrong != "" {
		p.refuseMalformed(ctx, wrong)
	}
	return how, wrong == ""
}

// route finds the handler of a request. A trailing slash makes no difference:
// the router could only redirect, which would turn a POST into a GET.
func (p *portServer) route(ctx *fasthttp.RequestCtx) {
	if ctx.Request.Header.IsConnect() && ctx.Request.Header.RequestURI()[0] != '/' {
		p.unmatched(ctx) // there is no path in it, and this is no proxy
		return
	}
	if path := ctx.URI().PathOriginal(); len(path) > 1 && path[len(path)-1] == '/' {
		ctx.URI().SetPathBytes(path[:len(path)-1])
	}
	if p.named != nil && p.named.matches(ctx) {
		p.named.handler(ctx)
		return
	}
	p.routes.Handler(ctx)
}

// wrap makes a handler into one that keeps what every response promises.
func (p *portServer) wrap(r *routeMetrics, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		setRequestID(ctx)
		defer p.finish(ctx, r)
		h(ctx)
	}
}

// wrapRoute is wrap for the handler of a route, which only sees what the authorizeFunc,
// if there is one, lets pass.
func (p *portServer) wrapRoute(r *routeMetrics, pass authorizeFunc, h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return p.wrap(r, func(ctx *fasthttp.RequestCtx) {
		if pass != nil && !pass(ctx) {
			return
		}
		if tooLarge, _ := ctx.UserValue(bodyTooLarge{}).(bool); tooLarge {
			p.payloadTooLarge(ctx)
			return
		}
		h(ctx)
	})
}

// finish ends every request, panicked or not.
func (p *portServer) finish(ctx *fasthttp.RequestCtx, r *routeMetrics) {
	if v := recover(); v != nil {
		p.metrics.panics.Inc()
		p.log.Error("A handler panicked; answered 500", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()),
			zap.String("path", loggedPath(ctx)), zap.String("request_id", string(ctx.Response.Header.PeekBytes(headerRequestID))))
		p.problem(ctx, problem.Internal, "The service failed on this request. The cause is in its log under this request_id.")
	}
	if len(p.servedBy) > 0 {
		ctx.Response.Header.SetCanonical(headerServedBy, p.servedBy)
	}
	var took time.Duration
	if c := connOf(ctx); c != nil {
		var last bool
		if took, last = c.Answered(&ctx.Request.Header, ctx.Response.IsBodyStream(), p.draining.Load()); last {
			ctx.Response.SetConnectionClose()
		}
	} else {
		took = time.Since(ctx.Time())
	}
	r.observe(ctx.Method(), ctx.Response.StatusCode(), took)
	if ce := p.log.Check(zap.DebugLevel, "Request"); ce != nil {
		ce.Write(zap.String("method", loggedMethod(ctx)), zap.String("path", loggedPath(ctx)),
			zap.Int("status", ctx.Response.StatusCode()), zap.Duration("duration", took),
			zap.String("request_id", string(ctx.Response.Header.PeekBytes(headerRequestID))), zap.Stringer("client", ctx.RemoteAddr()))
	}
}

// bodyTooLarge is the key under which judge tells the handlers that the request's
// body is over the limit and has not been read.
type bodyTooLarge struct{}

// protocolError answers the errors that fasthttp meets before any handler
// runs.
func (p *portServer) protocolError(ctx *fasthttp.RequestCtx, err error) {
	var fault conn.Fault
	if c := connOf(ctx); c != nil {
		fault = c.Refused()
	}
	defer func() {
		// A response to HEAD has no body (RFC 9110, section 9.3.2). fasthttp forgets
		// the method of what it refuses.
		ctx.Response.SkipBody = ctx.IsHead() || fault.MethodHead
	}()
	p.wrap(p.metrics.route("unmatched"), func(ctx *fasthttp.RequestCtx) {
		var small *fasthttp.ErrSmallBuffer
		switch {
		case fault.PlainHTTP:
			p.problem(ctx, problem.Validation, speaksTLS)
		case fault.Late: // of which fasthttp does not always tell
			p.notInTime(ctx)
		case fault.Version:
			p.versionNotSupported(ctx)
		case fault.TLSHello:
			p.problem(ctx, problem.Validation, "This port speaks plain HTTP, not TLS: ask with http:// instead of https://.")
		case errors.As(err, &small) && fault.NoLine:
			p.problem(ctx, problem.URITooLong, fmt.Sprintf("The request line is longer than %d bytes.", p.limits.MaxHeaderBytes))
		case errors.As(err, &small):
			p.problem(ctx, problem.HeadersTooLarge, fmt.Sprintf("The request line and header fields are longer than %d bytes together.", p.limits.MaxHeaderBytes))
		default:
			p.notWellFormed(ctx)
		}
	})(ctx)
}
