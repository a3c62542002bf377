package transport

import (
	"context"
	"net"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// A port is one listening port: its connections, the fasthttp server that reads requests
// from them, the middleware, and the routes.
type port struct {
	direct   *direct // answers for the event loops; nil: there are none
	problem  reply.Problem
	log      *zap.Logger
	limits   Limits
	tls      *serverTLS // nil: plain HTTP
	listener *conn.Listener
	server   *fasthttp.Server
	chain    *middleware.Chain
	routes   *router.Router
	named    *nameRoute // nil if no route has a name in it
	html     string     // the path of the page; empty if there is none
	notFound func(*fasthttp.RequestCtx)
	served   chan error // receives the result of Serve
}

// Limits bounds what clients can use of a port. Each must be positive except
// MaxConnectionAge, where 0 means no limit.
type Limits struct {
	ReadTimeout      time.Duration // for a whole request, from its first byte
	WriteTimeout     time.Duration // for a response, or for one event of a stream
	IdleTimeout      time.Duration // of a connection between two requests
	MaxConnections   int
	MaxRequestBody   int // bytes
	MaxBodyMemory    int // bytes of all bodies being received or handled, and at least MaxRequestBody
	MaxHeaderBytes   int // request line and header fields together
	MaxConnectionAge time.Duration
}

// newPort returns a port without routes that does not listen yet. It sets those
// middleware options that differ between ports.
func newPort(o middleware.Options, limits Limits, tls *serverTLS) *port {
	p := &port{problem: o.Problem, log: o.Log, limits: limits, tls: tls, served: make(chan error, 1)}
	o.Route = p.route
	o.Limits = middleware.Limits{
		ReadTimeout: limits.ReadTimeout, WriteTimeout: limits.WriteTimeout,
		MaxRequestBody: limits.MaxRequestBody, MaxHeaderBytes: limits.MaxHeaderBytes,
	}
	p.chain = middleware.New(o)
	p.routes = router.New()
	p.routes.RedirectTrailingSlash = false
	p.routes.RedirectFixedPath = false
	p.routes.HandleOPTIONS = true
	p.routes.SaveMatchedRoutePath = false
	p.notFound = p.chain.Wrap(middleware.Unmatched, p.answerNotFound)
	p.routes.NotFound = p.notFound
	p.routes.MethodNotAllowed = p.chain.Wrap(middleware.Unmatched, p.methodNotAllowed)
	p.routes.GlobalOPTIONS = p.chain.Wrap(middleware.Unmatched, p.options)
	// fasthttp has no timeouts here: package conn keeps them.
	p.server = &fasthttp.Server{
		Handler:                       p.chain.Handle,
		ErrorHandler:                  p.chain.ProtocolError,
		HeaderReceived:                middleware.HeaderReceived,
		ExpectHandler:                 p.chain.Judge,
		StreamRequestBody:             true,
		Name:                          serverName,
		ReadBufferSize:                limits.MaxHeaderBytes,
		MaxRequestBodySize:            1,                                           // of what is read before the handler runs; see middleware/body.go
		Concurrency:                   2*limits.MaxConnections + conn.MaxRejecting, // the listener's own limit comes first; this counts connections that are about to end, too
		ConnState:                     connState,
		NoDefaultServerHeader:         true,
		SecureErrorLogMessage:         true,
		DisablePreParseMultipartForm:  true,
		Logger:                        middleware.QuietLogger{Log: p.log},
		TCPKeepalive:                  true,
		LazyRequestTime:               true,
		WriteBufferSize:               conn.WriteBufferSize,
		DisableHeaderNamesNormalizing: false,
	}
	return p
}

// serverName is the Server field of all responses.
const serverName = "dynamic-toolset"

// connState tells a connection where its requests begin and end, for the drain.
func connState(nc net.Conn, s fasthttp.ConnState) {
	c := conn.Of(nc)
	if c == nil {
		return
	}
	switch s {
	case fasthttp.StateActive:
		c.Begin()
	case fasthttp.StateIdle:
		c.End()
	default: // new, hijacked, closed: nothing to do
	}
}

// open starts to listen on addr.
func (p *port) open(ctx context.Context, addr string) error {
	tcp, err := conn.Listen(ctx, addr)
	if err != nil {
		return err
	}
	p.accept(tcp)
	return nil
}

// accept makes p serve the connections that socket accepts.
func (p *port) accept(socket net.Listener) {
	l := p.limits
	o := conn.Options{
		Limits: conn.Limits{
			ReadTimeout: l.ReadTimeout, WriteTimeout: l.WriteTimeout, IdleTimeout: l.IdleTimeout,
			MaxConnections: l.MaxConnections, MaxAge: l.MaxConnectionAge,
		},
		Serve: func(c net.Conn) {
			if err := p.server.ServeConn(c); err != nil {
				middleware.QuietLogger{Log: p.log}.Printf("%v of %v", err, c.RemoteAddr())
			}
		},
		Reject: p.reject,
		Log:    p.log,
	}
	if p.direct != nil {
		o.Answer = p.direct.answer
	}
	if p.tls != nil {
		o.TLS = &conn.TLS{Config: p.tls.config.Load, Failed: p.tls.failed}
	}
	p.listener = conn.New(socket, o)
}

func (p *port) serve() {
	go func() { p.served <- p.server.Serve(p.listener) }()
}

// drain ends the connections of a port; see conn.Listener.Drain. announced is when
// responses began to announce the end of their connections.
func (p *port) drain(timeout, idleGrace time.Duration, announced time.Time) error {
	defer func() { <-p.served }()
	return p.listener.Drain(timeout, idleGrace, announced)
}
