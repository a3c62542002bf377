// Package transport serves the toolset API over HTTP with fasthttp, and stops without
// losing a request.
//
// A [Server] has two ports: one for the API and its probes, one for the metrics. A
// request passes
//
//	internal/conn   its connection; the difficult part is to close one
//	middleware      what all requests have in common, and all responses
//	routes.go       the table of routes; router.go finds the route of a request
//	api             the handlers, a file for each endpoint
//
// The handlers of the metrics port are here and in internal/profiles. What a Server does
// when the process stops is in drain.go, in the order in which package shutdown calls it.
package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/internal/profiles"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
	"kubernaut.io/dynamic-toolset/transport/page"
)

// Options configure a Server. Catalogue and Status are required; zero fields have the
// defaults that are given here.
type Options struct {
	Listen        string // address of the API, default ":8080"
	MetricsListen string // default ":9090"
	// Listener, if not nil, accepts the API's connections in place of a socket at Listen;
	// benchmarks use one in memory. Unless it is a *net.TCPListener, the drain closes it
	// at once, and connections in its queue may be lost.
	Listener    net.Listener
	Limits      Limits // zero fields are replaced by DefaultLimits
	MaxWatchers int    // number of event streams, default 1000; none if negative

	// TLSCertFile and TLSKeyFile are PEM files with a certificate, followed by its chain,
	// and with its key. If they are set both ports use TLS, and new connections use a
	// changed certificate within seconds. Empty for plain HTTP.
	TLSCertFile, TLSKeyFile string
	// TLSRefresh is how often these files are read. Zero means 5 s: a kubelet takes up to
	// a minute to bring a changed Secret to its pods.
	TLSRefresh time.Duration

	// ServedBy names this instance in the header X-Served-By of every response; empty for
	// no such header. Behind a load balancer, it tells which replica has answered.
	ServedBy string

	// IdleGrace is how long an idle connection must have been silent before the drain
	// closes it. Zero means 5 s.
	IdleGrace time.Duration

	// Auth makes the server check who calls and what they may do. Everybody may call the
	// probes, /version and /openapi.json. nil: everybody may call everything.
	Auth *Auth
	// RateLimit bounds the requests of a single client. It does not apply to the probes,
	// /version, /openapi.json and the metrics port.
	RateLimit RateLimit

	Catalogue *catalogue.Catalogue
	// Status returns the state of the connection to the cluster. It is called several
	// times a second and must not block.
	Status func() Status
	// Discover lists the cluster again and makes all health checks now. nil: requests for
	// it are answered with 503.
	Discover func(context.Context) error
	// Generate writes the ConfigMap and returns its resourceVersion. nil if nothing is
	// written, as with manifests.
	Generate func(context.Context) (version string, err error)
	// Explain says why a Service is a toolset or not. The error is an *explain.Missing if
	// there is no such Service. nil: requests for it are answered with 503.
	Explain func(context.Context, service.Key) (*explain.Document, error)

	// MCPOrigins are origins of pages, such as https://agents.example.com, that may use /mcp
	// besides those of the machine itself. What is no page, and sends no origin, may anyway.
	MCPOrigins []string

	// PageState returns what the page at / says about the service. It must not block. nil:
	// the page says nothing but the version.
	PageState func() PageState

	// EventLoop gives the connections between requests to event loops, which also answer
	// plain lookups by name; without them fasthttp answers every request, with the same
	// bytes. There are none on other systems than Linux, nor with TLS.
	EventLoop bool

	// Pprof serves the profiles of the process on the metrics port, below /debug/pprof/.
	// With Auth.Metrics, callers need a right for them.
	Pprof bool

	Metrics *metrics.Set // further series to expose; may be nil
	Log     *zap.Logger  // default: none
	Version string
}

// Status is the state of the connection to the cluster.
type Status = api.Status

// PageState is what the page says about the service.
type PageState = page.State

// Auth makes a server check who calls and what they may do.
type Auth = middleware.Auth

// A RateLimit bounds the requests of a single client.
type RateLimit = middleware.RateLimit

// DefaultLimits has the defaults of Limits.
var DefaultLimits = Limits{
	ReadTimeout:    10 * time.Second,
	WriteTimeout:   10 * time.Second,
	IdleTimeout:    2 * time.Minute,
	MaxConnections: 10000,
	MaxRequestBody: 1 << 20,
	MaxBodyMemory:  8 << 20,
	MaxHeaderBytes: 16 << 10,
}

func (l *Limits) fill() {
	d := DefaultLimits
	orDuration := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	orInt := func(p *int, d int) {
		if *p == 0 {
			*p = d
		}
	}
	orDuration(&l.ReadTimeout, d.ReadTimeout)
	orDuration(&l.WriteTimeout, d.WriteTimeout)
	orDuration(&l.IdleTimeout, d.IdleTimeout)
	orInt(&l.MaxConnections, d.MaxConnections)
	orInt(&l.MaxRequestBody, d.MaxRequestBody)
	orInt(&l.MaxBodyMemory, d.MaxBodyMemory)
	l.MaxBodyMemory = max(l.MaxBodyMemory, l.MaxRequestBody+1)
	orInt(&l.MaxHeaderBytes, d.MaxHeaderBytes)
}

// A Server serves the API and the metrics over HTTP.
type Server struct {
	opts        Options
	log         *zap.Logger
	problem     reply.Problem
	api         *api.API
	apiPort     *port
	metricsPort *port
	tls         *serverTLS // nil: plain HTTP
	set         *metrics.Set
	shutdownH   *middleware.Histogram
	authorizer  *middleware.Authorizer // nil without authentication and rate limit

	life       context.Context // ends with the server; for background work that requests start
	endLife    context.CancelFunc
	background sync.WaitGroup

	flagged time.Time // when Flag was called
}

// New returns a Server that does not listen yet.
func New(o Options) (*Server, error) {
	if o.Catalogue == nil || o.Status == nil {
		return nil, errors.New("transport: Options.Catalogue and Options.Status are required")
	}
	if o.Listen == "" {
		o.Listen = ":8080"
	}
	if o.MetricsListen == "" {
		o.MetricsListen = ":9090"
	}
	if o.MaxWatchers == 0 {
		o.MaxWatchers = 1000
	}
	if o.IdleGrace == 0 {
		o.IdleGrace = 5 * time.Second
	}
	if o.TLSRefresh == 0 {
		o.TLSRefresh = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Limits.fill()
	s := &Server{opts: o, log: o.Log, set: metrics.NewSet()}
	s.life, s.endLife = context.WithCancel(context.Background())
	s.shutdownH = middleware.NewHistogram("toolset_shutdown_duration_seconds", "", shutdownBounds)
	s.problem = reply.NewProblem(s.set)
	if o.TLSCertFile != "" || o.TLSKeyFile != "" {
		var err error
		if s.tls, err = newServerTLS(o.TLSCertFile, o.TLSKeyFile, s.log, s.set); err != nil {
			return nil, err
		}
	}
	passed := middleware.Options{
		Problem: s.problem, Metrics: middleware.NewMetrics(s.set), Bodies: middleware.NewBodies(o.Limits.MaxBodyMemory),
		ServedBy: o.ServedBy, Log: s.log,
	}
	scraped := o.Limits
	scraped.MaxConnections = min(scraped.MaxConnections, maxMetricsConnections)
	s.apiPort, s.metricsPort = newPort(passed, o.Limits, s.tls), newPort(passed, scraped, s.tls)
	s.api = api.New(api.Options{
		Catalogue: o.Catalogue, Discover: o.Discover, Generate: o.Generate, Explain: o.Explain, PageState: o.PageState, Version: o.Version,
		MaxWatchers: o.MaxWatchers, WriteTimeout: o.Limits.WriteTimeout,
		MCPOrigins: o.MCPOrigins, Metrics: s.set,
		Problem: s.problem, StreamRight: s.streamRight, RefuseCommand: s.apiPort.refuseCommand,
		Life: s.life, Background: &s.background, Log: s.log,
	})
	s.api.SetStatus(o.Status())
	s.serverMetrics()
	if err := s.serveRoutes(); err != nil {
		return nil, err
	}
	return s, nil
}

// serveRoutes gives the ports their routes, behind the authorizer if there is one.
func (s *Server) serveRoutes() error {
	apiRoutes, metricsRoutes := s.apiRoutes(), s.metricsRoutes()
	if s.opts.Auth != nil || s.opts.RateLimit.PerSecond > 0 {
		var actions []auth.Action
		for _, r := range slices.Concat(apiRoutes, metricsRoutes) {
			if s.protects(&r) {
				actions = append(actions, r.action())
			}
		}
		var err error
		if s.authorizer, err = middleware.NewAuthorizer(middleware.AuthorizerOptions{
			Auth: s.opts.Auth, RateLimit: s.opts.RateLimit, Actions: actions, Problem: s.problem, Metrics: s.set, Log: s.log,
		}); err != nil {
			return err
		}
	}
	s.apiPort.use(apiRoutes, s.pass)
	s.apiPort.named.exists = s.api.Exists
	s.metricsPort.use(metricsRoutes, s.pass)
	if s.opts.EventLoop {
		s.apiPort.direct = s.newDirect()
	}
	return nil
}

// protects reports whether a route needs a right or has a rate limit.
func (s *Server) protects(r *route) bool {
	return r.who == callers || r.who == operators && s.opts.Auth != nil && s.opts.Auth.Metrics
}

// pass returns the check that callers of a route must pass; nil if there is none.
func (s *Server) pass(r *route) middleware.Pass {
	if s.authorizer == nil || !s.protects(r) {
		return nil
	}
	return s.authorizer.Require(r.action(), r.who == callers)
}

// streamRight returns the right of an event stream to continue.
func (s *Server) streamRight(ctx *fasthttp.RequestCtx) api.Right {
	if right := s.authorizer.Stream(ctx, watch.action()); right != nil {
		return right
	}
	return nil
}

var shutdownBounds = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
}

// Start listens on both ports, and serves until Drain and CloseMetrics. The error says
// which address can't be used.
func (s *Server) Start(ctx context.Context) error {
	if s.opts.Listener != nil {
		s.apiPort.accept(s.opts.Listener)
	} else if err := s.apiPort.open(ctx, s.opts.Listen); err != nil {
		return err
	}
	if err := s.metricsPort.open(ctx, s.opts.MetricsListen); err != nil {
		return errors.Join(err, s.apiPort.listener.Close())
	}
	s.apiPort.serve()
	s.metricsPort.serve()
	s.background.Go(s.watchStatus)
	s.background.Go(s.giveMemoryBack)
	if s.authorizer != nil {
		s.background.Go(func() {
			<-s.life.Done()
			s.authorizer.Close()
		})
	}
	if s.tls != nil {
		s.background.Go(s.watchCertificate)
	}
	if s.opts.Pprof {
		stop := profiles.SampleContention()
		s.background.Go(func() {
			<-s.life.Done()
			stop()
		})
	}
	return nil
}

// Addr returns the address of the API port. It must be called after Start.
func (s *Server) Addr() string { return s.apiPort.listener.Addr().String() }

// MetricsAddr returns the address of the metrics port. It must be called after Start.
func (s *Server) MetricsAddr() string { return s.metricsPort.listener.Addr().String() }

// statusInterval is how often Options.Status is called.
const statusInterval = 100 * time.Millisecond

func (s *Server) watchStatus() {
	t := time.NewTicker(statusInterval)
	defer t.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-t.C:
			s.api.SetStatus(s.opts.Status())
		}
	}
}

func (s *Server) writeMetrics(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	w := ctx.Response.BodyWriter()
	s.set.WritePrometheus(w)
	if s.opts.Metrics != nil {
		s.opts.Metrics.WritePrometheus(w)
	}
	metrics.WriteProcessMetrics(w)
}
