// Package transport serves the toolset API over HTTP on fasthttp, and stops
// without losing a request.
//
// A Server has two ports: the API with its probes, and the metrics. Every
// response of either carries a request identifier, and every error is a
// problem document, also those that arise before a handler runs. Lookups are
// answered from the current snapshot of the catalogue: they render nothing,
// take no lock and allocate nothing.
//
// What it does when the process stops is in drain.go, in the order of package shutdown;
// what makes that lossless is in package conn.
package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/service"
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
type Status struct {
	// NotReady says why the service should get no traffic; empty when ready.
	NotReady string
	// StaleSince is when the cluster could last be read, if it can't be now:
	// answers say that they may be out of date.
	StaleSince time.Time
}

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
	api         *portServer
	metricsPort *portServer
	tls         *serverTLS // nil: plain HTTP
	set         *metrics.Set
	shutdownH   *histogram
	authorizer  *authorizer // nil if everybody may do everything as often as they like

	status   atomic.Pointer[currentStatus]
	stopping atomic.Bool
	goodbye  chan struct{} // closed when event streams must end
	watchers atomic.Int64
	// validations has a place for each document that is being validated.
	validations chan struct{}

	life       context.Context // of background work started by requests
	endLife    context.CancelFunc
	background sync.WaitGroup
	discovery  atomic.Pointer[discovery]

	flagged time.Time // when the stop began
}

// currentStatus is a Status with what is sent because of it.
type currentStatus struct {
	Status
	warning []byte // nil when the data is fresh
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
	s := &Server{opts: o, log: o.Log, set: metrics.NewSet(), goodbye: make(chan struct{}), validations: make(chan struct{}, maxValidations)}
	s.life, s.endLife = context.WithCancel(context.Background())
	s.shutdownH = newHistogram("toolset_shutdown_duration_seconds", "", shutdownBounds)
	m := newHTTPMetrics(s.set)
	s.api = newPortServer("api", s.log, m, o.Limits)
	scraped := o.Limits
	scraped.MaxConnections = min(scraped.MaxConnections, maxMetricsConnections)
	s.metricsPort = newPortServer("metrics", s.log, m, scraped)
	s.api.bodies = &bodyBudget{limit: int64(o.Limits.MaxBodyMemory)}
	s.metricsPort.bodies = s.api.bodies
	if o.TLSCertFile != "" || o.TLSKeyFile != "" {
		var err error
		if s.tls, err = newServerTLS(o.TLSCertFile, o.TLSKeyFile, s.log, s.set); err != nil {
			return nil, err
		}
		s.api.useTLS(s.tls)
		s.metricsPort.useTLS(s.tls)
	}
	s.api.servedBy, s.metricsPort.servedBy = []byte(o.ServedBy), []byte(o.ServedBy)
	s.refreshStatus()
	s.serverMetrics()
	apiRoutes, metricsRoutes := s.apiRoutes(), s.metricsRoutes()
	if o.Auth != nil || o.RateLimit.PerSecond > 0 {
		var err error
		if s.authorizer, err = newAuthorizer(o, s.log, s.set, slices.Concat(apiRoutes, metricsRoutes)); err != nil {
			return nil, err
		}
	}
	s.api.use(apiRoutes, s.authorizer)
	s.api.named.exists = s.exists
	s.metricsPort.use(metricsRoutes, s.authorizer)
	return s, nil
}

// Start listens on both ports and serves until Drain and CloseMetrics. The error says which
// address can't be used.
func (s *Server) Start(ctx context.Context) error {
	if s.opts.Listener != nil {
		s.api.accept(s.opts.Listener)
	} else if err := s.api.open(ctx, s.opts.Listen); err != nil {
		return err
	}
	if err := s.metricsPort.open(ctx, s.opts.MetricsListen); err != nil {
		return errors.Join(err, s.api.listener.Close())
	}
	s.api.serve()
	s.metricsPort.serve()
	s.background.Go(s.watchStatus)
	s.background.Go(s.giveMemoryBack)
	if s.authorizer != nil {
		s.background.Go(func() {
			<-s.life.Done()
			s.authorizer.close()
		})
	}
	if s.tls != nil {
		s.background.Go(s.watchCertificate)
	}
	if s.opts.Pprof {
		s.sampleContention()
	}
	return nil
}

// Addr returns the address of the API port, MetricsAddr that of the metrics
// port; both only after Start.
func (s *Server) Addr() string        { return s.api.listener.Addr().String() }
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
			s.refreshStatus()
		}
	}
}

func (s *Server) refreshStatus() {
	now := s.opts.Status()
	if old := s.status.Load(); old != nil && old.Status == now {
		return
	}
	c := &currentStatus{Status: now}
	if !now.StaleSince.IsZero() {
		// Warning 110 is "Response is Stale" (RFC 7234, section 5.5.1).
		c.warning = fmt.Appendf(nil, `110 dynamic-toolset "Response is Stale: the cluster could not be read since %s"`, service.FormatTime(now.StaleSince))
	}
	s.status.Store(c)
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
