// Package app puts the service together: it builds the parts from the settings, runs them,
// and stops them in the order of DD-007 (package shutdown).
//
// The parts do not know one another. What one has to do with the other is said here:
//
//	cluster source -> catalogue -> snapshots -> server, writer of the ConfigMap
//	health checks  -> catalogue
//
// An [App] keeps to itself: a process, as that of a test, may have several. What is the
// process's own, such as where the log goes, is [Serve]'s. [Generate] is the service for
// one reading of the cluster: it returns what would be written.
package app

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/health"
	"kubernaut.io/dynamic-toolset/shutdown"
	"kubernaut.io/dynamic-toolset/transport"
)

// Signals say when an App is to stop. Those of the process are [shutdown.Signals].
type Signals interface {
	// HandOver returns the signals from now on. told is called first for each; it must
	// not block.
	HandOver(told func()) <-chan os.Signal
	// Stop does what a SIGTERM does, after HandOver.
	Stop()
}

// A writer keeps a copy of the generated documents up to date: in the ConfigMap, or in a file.
type writer interface {
	Run(ctx context.Context) error
	Notify()
	WriteNow(ctx context.Context) (version string, err error)
}

// An App is the service, built and ready to run once.
type App struct {
	settings  *config.Settings
	version   string
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

// New builds the service, of which nothing runs yet. version is what it says of itself.
func New(s *config.Settings, version string, log *zap.Logger) (*App, error) {
	a := &App{settings: s, version: version, log: log, set: metrics.NewSet()}
	if err := a.build(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) build() error {
	s := a.settings
	identify, err := recognise(s.Discovery.Rules, s.Cluster.Domain, newDiscoveryLog(a.log).see)
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

// Run starts everything, in an order in which nothing misses its consumer, waits for a
// signal, and stops everything in reverse. It returns the exit code of the process; an error
// means that the service could not begin, or could not go on.
func (a *App) Run(signals Signals) (int, error) {
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
	server, err := transport.New(a.serverOptions())
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
			return shutdown.ExitOK, nil
		}
		return 0, err
	}
	a.log.Info("Serving", zap.String("api", server.Addr()), zap.String("metrics", server.MetricsAddr()), zap.Bool("tls", s.HTTP.TLSCertFile != ""), zap.String("version", a.version))
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
	start(a.follow)

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
			{Name: "the cluster and what follows it", Close: func(context.Context) error {
				cancel()
				running.Wait()
				return nil
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

// serverOptions are those of the HTTP server: the settings, and whom it asks.
func (a *App) serverOptions() transport.Options {
	s := a.settings
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
		Metrics: a.set, Log: a.log, Version: a.version,
	}
	if a.writer != nil {
		o.Generate = a.generate
	}
	return o
}

// orNone translates a setting whose 0 means none to an option whose 0 means its
// default.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
