// Package app puts the service together: it builds the parts from the settings, runs
// them, and stops them in the order of DD-007 (package shutdown).
//
// The parts do not know one another. How they are connected is decided here:
//
//	cluster source -> catalogue -> snapshots -> server, writer of the ConfigMap
//	health checks  -> catalogue
//	identification -> catalogue
//
// An [App] uses nothing of the process but what it is given, so that a test can run
// several in one process. [Serve] runs one as the service, and sets up what belongs to
// the process, such as its log. [Generate] reads the cluster once and returns what would
// be written, and [Explain] why one Service is a toolset or not.
package app

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/cluster/workloads"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/health"
	"kubernaut.io/dynamic-toolset/service/identify"
	"kubernaut.io/dynamic-toolset/shutdown"
	"kubernaut.io/dynamic-toolset/transport"
)

// Signals tell an App when to stop. [shutdown.Signals] has those of the process.
type Signals interface {
	// HandOver returns a channel that receives the signals from now on. Before that, told
	// is called for each; it must not block.
	HandOver(told func()) <-chan os.Signal
	// Stop does the same as a SIGTERM. It must be called after HandOver.
	Stop()
}

// A writer keeps a copy of the generated documents up to date, in the ConfigMap or in a
// file.
type writer interface {
	Run(ctx context.Context) error
	Notify()
	WriteNow(ctx context.Context) (version string, err error)
}

// An App is the service, ready to run once.
type App struct {
	settings  *config.Settings
	version   string
	log       *zap.Logger
	set       *metrics.Set
	catalogue *catalogue.Catalogue
	checker   *health.Checker  // nil without health checks
	prober    *identify.Prober // nil if nobody is asked who they are
	source    source
	rules     *detect.Rules
	evidence  service.Workloads    // nil if the workloads are not known
	workloads *workloads.Watcher   // nil if they are not watched
	writer    writer               // nil if no ConfigMap is written
	reloader  *reloader            // nil if HolmesGPT is not told of changes
	view      *configmap.View      // of the ConfigMap; nil without a cluster, or if the ConfigMap is not used
	overrides *configmap.Overrides // in the ConfigMap; nil if view is nil
	leader    *leader.Candidate    // nil without leader election
	auth      *transport.Auth      // nil: everybody may call
	discovery *metrics.PrometheusHistogram
	host      string        // of the API server; empty without a cluster
	shown     shown         // on the page
	settled   *gate         // open when documents may be written
	patience  time.Duration // see settlePatience
}

// New builds the service from the settings, without starting anything. version is the
// version that it reports.
func New(s *config.Settings, version string, log *zap.Logger) (*App, error) {
	a := &App{settings: s, version: version, log: log, set: metrics.NewSet(), settled: newGate(), patience: settlePatience}
	if err := a.build(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) build() error {
	s := a.settings
	rules, err := loadRules(s.Discovery.Rules)
	if err != nil {
		return err
	}
	a.rules = rules
	index := usesWorkloads(s.Cluster, s.Discovery)
	a.evidence = asEvidence(index)
	identify := recognise(rules, s.Cluster.Domain, a.evidence, s.Discovery.Identify, newRecognitionLog(a.log).see)
	a.discovery = a.set.NewPrometheusHistogram("toolset_discovery_duration_seconds")
	var prober service.Prober
	if s.Health.Enabled {
		if err := a.buildChecker(); err != nil {
			return err
		}
		prober = a.checker
	}
	a.catalogue = catalogue.New(identify, prober)
	if s.Health.Enabled && s.Discovery.Identify != config.IdentifyOff {
		if err := a.buildProber(rules); err != nil {
			return err
		}
	}
	sink, follower := through(index, a.catalogue)
	if s.Cluster.Manifests != "" {
		a.source, err = manifests.New(s.Cluster.Manifests, manifests.Options{Sink: sink, Workloads: follower, Logger: a.log})
		if s.ConfigMap.Write != "" {
			a.buildFileWriter()
		}
		return err
	}
	return a.connect(sink, follower)
}

// Run starts everything in such an order that nothing misses its consumer, waits for a
// signal, and stops everything in reverse. It returns the exit code of the process. An
// error means that the service could not start, or could not go on.
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
	// From here on clients may be connected, so a signal starts a drain.
	opening, giveUp := context.WithCancel(ctx)
	defer giveUp()
	caught := signals.HandOver(func() {
		giveUp() // Start may be looking up the host of --listen
		a.releaseLease()
	})
	// The probes answer from the start, at first with "starting".
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
	if a.prober != nil {
		start(func(ctx context.Context) error { a.prober.Run(ctx); return nil })
	}
	if a.workloads != nil {
		start(func(ctx context.Context) error { a.workloads.Run(ctx); return nil })
	}
	start(a.readCluster)
	if a.view != nil {
		start(a.view.Run)
		start(a.overrides.Run)
	}
	if a.writer != nil {
		start(a.settle)
		start(a.writer.Run)
	}
	if a.reloader != nil {
		start(a.reloader.run)
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

// serverOptions returns the options of the HTTP server, from the settings and the other
// parts.
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
		EventLoop: s.HTTP.EventLoop == config.EventLoopAuto,
		Auth:      a.auth, RateLimit: transport.RateLimit{PerSecond: s.Access.RateLimit, Burst: s.Access.RateBurst},
		Catalogue: a.catalogue, Status: a.status, Discover: a.discover, Explain: a.explain, MCPOrigins: s.Access.MCPOrigins, PageState: a.pageState, Pprof: s.HTTP.Pprof,
		Metrics: a.set, Log: a.log, Version: a.version,
	}
	if a.writer != nil {
		o.Generate = a.generate
	}
	return o
}

// orNone converts a setting whose 0 means none to an option whose 0 means its default.
func orNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
