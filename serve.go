package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/health"
	"kubernaut.io/dynamic-toolset/shutdown"
	"kubernaut.io/dynamic-toolset/transport"
)

// serve wires the parts together, runs them until a signal, and stops them in
// the order of DD-007. It returns the exit code.
func serve(s *config.Settings, signals *shutdown.Signals) (int, error) {
	log, err := newLogger(s)
	if err != nil {
		return 0, err
	}
	defer log.Sync() //nolint:errcheck // standard error can't be synced everywhere
	// Libraries that write to the standard logger (such as of metrics that this
	// kernel doesn't have) must not break the log's format.
	restore, err := zap.RedirectStdLogAt(log, zapcore.DebugLevel)
	if err != nil {
		return 0, err
	}
	defer restore()
	cluster.RedirectClientLogs(log)
	signals.LogTo(log)

	if !s.HTTP.Pprof {
		runtime.MemProfileRate = 0 // what nobody can ask for costs nothing
	}
	for _, w := range s.Warnings {
		log.Warn("A setting may not be what is meant", zap.String("warning", w))
	}
	a := &app{settings: s, log: log, set: metrics.NewSet()}
	if err := a.build(); err != nil {
		return 0, err
	}
	return a.run(signals)
}

// A writer keeps a copy of the generated documents up to date: in the ConfigMap, or in a file.
type writer interface {
	Run(ctx context.Context) error
	Notify()
	WriteNow(ctx context.Context) (version string, err error)
}

// app is the running service.
type app struct {
	settings  *config.Settings
	log       *zap.Logger
	set       *metrics.Set
	catalogue *service.Catalogue
	checker   *health.Checker // nil without health checks
	source    cluster.Source
	writer    writer               // nil when no ConfigMap is written
	view      *configmap.View      // of the ConfigMap; nil without a cluster, or if it is left alone
	overrides *configmap.Overrides // in the ConfigMap; nil if view is
	leader    *leader.Candidate    // nil without leader election
	auth      *transport.Auth      // nil: everybody may call
	discovery *metrics.PrometheusHistogram
}

func (a *app) build() error {
	s := a.settings
	identify, err := a.identify()
	if err != nil {
		return err
	}
	a.discovery = a.set.NewPrometheusHistogram("toolset_discovery_duration_seconds")
	var prober service.Prober
	if s.Health.Enabled {
		if err := a.buildChecker(); err != nil {
			return err
		}
		prober = a.checker
	}
	a.catalogue = service.NewCatalogue(identify, prober)
	if s.Cluster.Manifests != "" {
		a.source, err = manifests.New(s.Cluster.Manifests, manifests.Options{Sink: a.catalogue, Logger: a.log})
		if s.ConfigMap.Write != "" {
			a.buildFileWriter()
		}
		return err
	}
	return a.connect()
}

// identify returns how Services are recognised.
func (a *app) identify() (service.Identify, error) {
	rules, err := loadRules(a.settings.Discovery.Rules)
	if err != nil {
		return nil, err
	}
	return newRecognition(rules, detect.Options{ClusterDomain: a.settings.Cluster.Domain}, a.log).identify, nil
}

func (a *app) buildChecker() error {
	s := a.settings
	roots, err := s.Health.RootCAs()
	if err != nil {
		return fmt.Errorf("--health-ca-file: %w", err)
	}
	a.checker, err = health.New(health.Options{
		Interval: s.Health.Interval, Timeout: s.Health.Timeout, Attempts: s.Health.Attempts, Concurrency: s.Health.Concurrency,
		AllowCIDRs: s.Health.AllowEndpointCIDRs, RootCAs: roots, InsecureSkipTLSVerify: s.Health.InsecureSkipTLSVerify,
		Report:  func(k service.Key, h service.Health) { a.catalogue.SetHealth(k, h) },
		OnStart: a.observeLag(), OnCheck: a.countCheck,
	})
	return err
}

// countCheck counts a health check by the type of its back end.
func (a *app) countCheck(key service.Key, ok bool, _ time.Duration) {
	status := "unhealthy"
	if ok {
		status = "healthy"
	}
	a.set.GetOrCreateCounter(fmt.Sprintf("toolset_health_checks_total{service_type=%q,status=%q}", a.catalogue.TypeOf(key), status)).Inc()
}

// run starts everything, in an order in which nothing misses its consumer, and
// stops it in reverse.
func (a *app) run(signals *shutdown.Signals) (int, error) {
	s := a.settings
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	failed := make(chan error, 4)
	start := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	o := transport.Options{
		Listen: s.HTTP.Listen, MetricsListen: s.HTTP.MetricsListen, MaxWatchers: orNone(s.Limits.MaxWatchers), ServedBy: s.HTTP.ServedBy,
		TLSCertFile: s.HTTP.TLSCertFile, TLSKeyFile: s.HTTP.TLSKeyFile,
		Limits: transport.Limits{
			ReadTimeout: s.HTTP.ReadTimeout, WriteTimeout: s.HTTP.WriteTimeout, IdleTimeout: s.HTTP.IdleTimeout,
			MaxConnections: s.Limits.MaxConnections, MaxRequestBody: s.Limits.MaxRequestBody, MaxHeaderBytes: s.Limits.MaxHeaderBytes,
			MaxConnectionAge: s.HTTP.MaxConnectionAge,
		},
		Auth: a.auth, RateLimit: transport.RateLimit{PerSecond: s.Access.RateLimit, Burst: s.Access.RateBurst},
		Catalogue: a.catalogue, Status: a.status, Discover: a.discover, Pprof: s.HTTP.Pprof,
		Metrics: a.set, Log: a.log, Version: versionText(),
	}
	if a.writer != nil {
		o.Generate = a.generate
	}
	server, err := transport.New(o)
	if err != nil {
		return 0, err
	}
	// From here on somebody may be connected, and whoever is told to stop drains.
	opening, giveUp := context.WithCancel(ctx)
	defer giveUp()
	caught := signals.HandOver(func() {
		giveUp() // it may be looking up the name of --listen
		a.releaseLease()
	})
	// The probes answer from the start, "starting" at first.
	if err := server.Start(opening); err != nil {
		if opening.Err() != nil {
			a.log.Info("Nothing has been served yet; exiting at once")
			return exitOK, nil
		}
		return 0, err
	}
	a.log.Info("Serving", zap.String("api", server.Addr()), zap.String("metrics", server.MetricsAddr()), zap.Bool("tls", s.HTTP.TLSCertFile != ""), zap.String("version", versionText()))
	start(func(ctx context.Context) error { a.catalogue.Run(ctx); return nil })
	if a.checker != nil {
		start(func(ctx context.Context) error { a.checker.Run(ctx); return nil })
	}
	start(a.readCluster)
	if a.view != nil {
		start(a.view.Run)
		start(a.overrides.Run)
	}
	if a.writer != nil {
		start(a.writer.Run)
	}
	if a.leader != nil {
		start(a.campaign)
	}
	start(a.followSnapshots)

	var fatal atomic.Pointer[error]
	go func() {
		select {
		case err := <-failed:
			fatal.Store(&err)
			a.log.Error("The service can't go on", zap.Error(err))
			signals.Stop()
		case <-ctx.Done():
		}
	}()
	sequence := shutdown.New(shutdown.Options{
		Server: server, PropagationDelay: s.Shutdown.PropagationDelay, DrainTimeout: s.Shutdown.DrainTimeout, Log: a.log,
		Components: []shutdown.Component{
			{Name: "work of the server besides requests", Close: server.CloseBackground},
			{Name: "the cluster and what follows it", Close: func(ctx context.Context) error {
				cancel()
				return waitFor(ctx, &running)
			}},
			{Name: "the metrics port", Close: server.CloseMetrics}, // last, for one more scrape
		},
	})
	code := sequence.Wait(caught)
	cancel()
	if err := fatal.Load(); err != nil && code != shutdown.ExitInterrupted {
		return 0, *err
	}
	return code, nil
}

// orNone translates a setting whose 0 means none to an option whose 0 means its
// default.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// waitFor waits for g until ctx ends.
func waitFor(ctx context.Context, g *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { g.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("background work did not end in time")
	}
}

// status is asked by the server a few times a second.
func (a *app) status() transport.Status {
	v := a.source.Status()
	if !v.Synced {
		reason := "The cluster has not been read yet."
		switch {
		case v.Denied != nil:
			reason = "The cluster can't be read: " + v.Denied.Public() + "."
		case v.LastError != "":
			reason = "The cluster can't be read yet; the cause is in the service's log."
		}
		return transport.Status{NotReady: reason}
	}
	grace := a.settings.Cluster.UnavailableGrace
	st, reason := transport.Status{}, ""
	switch {
	case !v.Reachable && a.settings.Cluster.Manifests != "":
		st.StaleSince = v.UnreachableSince
		reason = fmt.Sprintf("The folder of --manifests has been missing or unreadable for longer than %s; the service's log says why.", grace)
	case !v.Reachable:
		st.StaleSince = v.UnreachableSince
		reason = fmt.Sprintf("Kubernetes has been unreachable for longer than %s.", grace)
	case v.Denied != nil:
		st.StaleSince = v.DeniedSince
		reason = fmt.Sprintf("Kubernetes could not be read for longer than %s: %s.", grace, v.Denied.Public())
	default:
		return st
	}
	if time.Since(st.StaleSince) >= grace {
		st.NotReady = reason + " Lookups are answered from the last state."
	}
	return st
}

// discover lists the cluster anew and checks all health.
func (a *app) discover(ctx context.Context) error {
	begin := time.Now()
	if err := a.source.Relist(ctx); err != nil {
		return err
	}
	if a.checker != nil {
		if err := a.checker.CheckAllNow(ctx); err != nil {
			return err
		}
	}
	a.catalogue.Build()
	a.discovery.Update(time.Since(begin).Seconds())
	return nil
}

func newLogger(s *config.Settings) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(s.Logs.Level)
	if err != nil {
		return nil, err
	}
	console := s.Logs.Format == "console" || s.Logs.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd())) // #nosec G115 -- a file descriptor
	var c zap.Config
	if console {
		c = zap.NewDevelopmentConfig()
		c.Development = false
		c.EncoderConfig.EncodeLevel = zapcore.CapitalColorLevelEncoder
		c.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.DisableCaller = true
	} else {
		c = zap.NewProductionConfig()
		c.EncoderConfig.TimeKey = "time"
		c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		c.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
		c.Sampling = nil // the lines of a shutdown must all be there
	}
	c.Level = zap.NewAtomicLevelAt(level)
	c.DisableStacktrace = true
	encoder := asciiEncoder{zapcore.NewJSONEncoder(c.EncoderConfig)}
	if console {
		encoder.Encoder = zapcore.NewConsoleEncoder(c.EncoderConfig)
	}
	return c.Build(zap.WrapCore(func(zapcore.Core) zapcore.Core {
		return zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), c.Level)
	}))
}
