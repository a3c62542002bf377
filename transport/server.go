// Package transport serves the toolset API over HTTP on fasthttp, and stops
// without losing a request.
//
// A Server has two ports: the API with its probes, and the metrics. A request comes in
// through
//
//	internal/conn   its connection, of which the end is the difficult part
//	middleware      what every request passes, and what every response carries
//	routes.go       the table of what there is; router.go finds the row
//	api             the handlers, a file for each endpoint
//
// The routes of the metrics port have their handlers here and in internal/profiles. What a
// Server does when the process stops is in drain.go, in the order of package shutdown.
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
	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/internal/profiles"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// Options configure a Server. Catalogue and Status are required; the zero
// value of every other field means its default.
type Options struct {
	Listen        string // API address, default ":8080"
	MetricsListen string // default ":9090"
	// Listener serves the API instead of a port at Listen, as one in memory does for
	// benchmarks. When it is not a *net.TCPListener, the stop closes it at once: a
	// connection that it has queued is the listener's own to lose.
	Listener    net.Listener
	Limits      Limits // zero fields are replaced by DefaultLimits
	MaxWatchers int    // event streams at a time, default 1000; none if negative

	// TLSCertFile and TLSKeyFile are PEM files of a certificate, its chain
	// behind it, and its key. With them both ports speak TLS, and a change of
	// the files takes effect for new connections within seconds. Empty for
	// plain HTTP.
	TLSCertFile, TLSKeyFile string
	// TLSRefresh is how often the files are looked at. Zero means 5 s: a
	// kubelet takes a minute to bring a changed Secret to its pods.
	TLSRefresh time.Duration

	// ServedBy names this instance in the X-Served-By header of every response;
	// empty for no such header. A load balancer hides which replica answered,
	// and whoever looks for the cause of a failure needs to know.
	ServedBy string

	// IdleGrace is how long a kept connection must have been silent before
	// the drain closes it. Zero means 5 s.
	IdleGrace time.Duration

	// Auth makes the routes ask who calls and whether they may; the probes,
	// /version and /openapi.json stay open. nil: everybody may do everything.
	Auth *Auth
	// RateLimit bounds the requests of a single client. The probes, /version,
	// /openapi.json and the metrics port are not limited.
	RateLimit RateLimit

	Catalogue *service.Catalogue
	// Status tells the state of the cluster connection; it is asked a few
	// times a second and must not block.
	Status func() Status
	// Discover lists the cluster anew and checks all health now. nil: 503.
	Discover func(context.Context) error
	// Generate writes the ConfigMap and returns its resourceVersion. nil means
	// that nothing is written (manifests).
	Generate func(context.Context) (version string, err error)

	// Pprof serves the profiles of the process on the metrics port, below
	// /debug/pprof/, to those who may; see Auth.Metrics.
	Pprof bool

	Metrics *metrics.Set // more series to expose, may be nil
	Log     *zap.Logger  // default: none
	Version string
}

// Status is the state of the connection to the cluster.
type Status = api.Status

// Auth makes a server ask who its callers are and whether they may.
type Auth = middleware.Auth

// A RateLimit bounds how often a single client may ask.
type RateLimit = middleware.RateLimit

// DefaultLimits are the limits that a zero field stands for.
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

// A Server is the HTTP side of the service.
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
	authorizer  *middleware.Authorizer // nil if everybody may do everything as often as they like

	life       context.Context // of background work started by requests
	endLife    context.CancelFunc
	background sync.WaitGroup

	flagged time.Time // when the stop began
}

// New returns a server that does not listen yet.
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
		Catalogue: o.Catalogue, Discover: o.Discover, Generate: o.Generate, Version: o.Version,
		MaxWatchers: o.MaxWatchers, WriteTimeout: o.Limits.WriteTimeout,
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

// serveRoutes makes the ports serve the routes, behind the authorizer if there is one.
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
	return nil
}

// protects reports whether not everybody may have a route, as often as they like.
func (s *Server) protects(r *route) bool {
	return r.who == callers || r.who == operators && s.opts.Auth != nil && s.opts.Auth.Metrics
}

// pass returns what lets the callers of a route pass; nil if it lets everybody.
func (s *Server) pass(r *route) middleware.Pass {
	if s.authorizer == nil || !s.protects(r) {
		return nil
	}
	return s.authorizer.Require(r.action(), r.who == callers)
}

// streamRight returns the right of an event stream to go on.
func (s *Server) streamRight(ctx *fasthttp.RequestCtx) api.Right {
	if right := s.authorizer.Stream(ctx, watch.action()); right != nil {
		return right
	}
	return nil
}

var shutdownBounds = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
}

// Start listens on both ports and serves until Drain and CloseMetrics. The error says which
// address can't be used.
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

// Addr returns the address of the API port, MetricsAddr that of the metrics
// port; both only after Start.
func (s *Server) Addr() string        { return s.apiPort.listener.Addr().String() }
func (s *Server) MetricsAddr() string { return s.metricsPort.listener.Addr().String() }

// statusInterval is how often the state of the cluster is looked at.
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
