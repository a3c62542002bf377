package app

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	clientgo "k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/cluster/kubernetes"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// connect builds the source and the writer for a real cluster. Services go to sink, and
// workloads to follower, if it is not nil.
func (a *App) connect(sink cluster.Sink, follower cluster.WorkloadSink) error {
	s := a.settings
	cfg, err := cluster.Connect(s.Cluster.Kubeconfig, s.Cluster.Context, a.version)
	if err != nil {
		return err
	}
	a.host = cfg.Host
	a.source, err = kubernetes.New(cfg, kubernetes.Options{
		Sink: sink, Logger: a.log, Namespaces: s.Cluster.Namespaces, Resync: s.Cluster.Resync,
		OnForbidden: a.countForbidden,
	})
	if err == nil && follower != nil {
		a.workloads, err = watchWorkloads(cfg, follower, s.Cluster.Namespaces, a.log, a.countForbidden)
	}
	if err == nil {
		err = a.askWhoCalls(cfg)
	}
	if err != nil || !s.ConfigMap.Enabled {
		return err
	}
	client, err := clientgo.NewForConfig(cfg)
	if err != nil {
		return err
	}
	a.view = configmap.NewView(client, s.ConfigMap.Namespace, s.ConfigMap.Name, configmap.ViewOptions{
		Logger: a.log, OnVersion: a.catalogue.SetConfigMapVersion, OnForbidden: a.countForbidden,
	})
	a.overrides = configmap.NewOverrides(a.view, configmap.OverridesOptions{Logger: a.log, OnChange: a.override()})
	opts := configmap.Options{
		Logger: a.log, Overrides: a.overrides, OnWrite: a.countWrite, OnForbidden: a.countForbidden,
		OnDrift: a.set.NewCounter("toolset_configmap_drift_total").Inc,
	}
	var writer *configmap.Writer
	if s.ConfigMap.LeaderElection {
		if err := a.elect(cfg, func(leading bool) { writer.SetActive(leading) }); err != nil {
			return err
		}
		opts.Standby, opts.Fence = true, a.leader.Fence
	}
	a.buildReloader()
	writer = configmap.NewWriter(a.view, a.documents(), opts)
	a.writer = writer
	return nil
}

// buildFileWriter builds the writer of --write-configmap.
func (a *App) buildFileWriter() {
	c := a.settings.ConfigMap
	a.buildReloader()
	a.set.NewCounter("toolset_configmap_drift_total") // always 0: nobody checks whether others change a file
	a.writer = configmap.NewFileWriter(c.Write, os.Stdout, c.Namespace, c.Name, a.documents(), configmap.FileOptions{
		Logger: a.log, OnWrite: a.countWrite, OnVersion: a.catalogue.SetConfigMapVersion,
	})
}

// buildReloader builds what tells HolmesGPT of writes, if there is an address for it.
func (a *App) buildReloader() {
	if h := a.settings.HolmesGPT; h.ReloadURL != "" {
		a.reloader = newReloader(h.ReloadURL, h.ReloadDelay, a.log, a.set)
	}
}

// countWrite counts an attempt to write the documents, and remembers it for the page.
func (a *App) countWrite(outcome string) {
	a.shown.written.Store(&written{outcome, time.Now()})
	a.set.GetOrCreateCounter(fmt.Sprintf("toolset_configmap_writes_total{result=%q}", outcome)).Inc()
	if a.reloader != nil && outcome == configmap.WriteSuccess {
		a.reloader.written()
	}
}

// override returns a function that puts overrides in force. When that returns, the
// snapshot shows them, so that nothing older is written.
func (a *App) override() func(*overrides.Set, []service.Invalid) {
	var refused atomic.Bool
	a.set.NewGauge("toolset_overrides_valid", func() float64 {
		if refused.Load() {
			return 0
		}
		return 1
	})
	errors := a.set.NewCounter("toolset_overrides_errors_total")
	return func(o *overrides.Set, wrong []service.Invalid) {
		if refused.Store(len(wrong) > 0); len(wrong) > 0 {
			errors.Inc()
		}
		a.catalogue.SetOverrides(o)
		a.catalogue.Build()
		a.shown.overridden.Store(&overridden{o != nil || len(wrong) > 0, wrong})
		a.shown.idle.Store(nil)
		if a.catalogue.Snapshot() != nil { // the first one is built once the cluster has been read
			a.tellUnmatched()
		}
	}
}

// tellUnmatched logs overrides that change nothing. They need not be wrong: what they are
// about may be gone for a while.
func (a *App) tellUnmatched() {
	if rest := a.catalogue.UnmatchedOverrides(); len(rest) > 0 {
		a.log.Warn("Some overrides are about no toolset that is known", zap.Strings("overrides", rest))
	}
	if rest := a.catalogue.OverriddenAliases(); len(rest) > 0 {
		a.log.Warn("Some overrides switch off another Service of a toolset that stays; name the toolset to switch it off", zap.Strings("overrides", rest))
	}
}

// overridesPatience is how long, at the start, the source waits for the overrides to be
// known.
const overridesPatience = 3 * time.Second

// readCluster runs the source once the overrides are known, so that no lookup shows for a
// moment what an administrator has switched off, and once the workloads are, so that none
// shows for a moment what they contradict.
func (a *App) readCluster(ctx context.Context) error {
	if a.overrides != nil {
		patience := time.NewTimer(overridesPatience)
		defer patience.Stop()
		select {
		case <-a.overrides.Known():
		case <-patience.C:
		case <-ctx.Done():
			return nil
		}
	}
	if a.workloads != nil {
		awaitWorkloads(ctx, a.workloads)
	}
	return a.source.Run(ctx)
}

// countForbidden counts the calls that were refused because a right is missing. The
// counter grows for as long as it is missing.
func (a *App) countForbidden(r *cluster.MissingRight) {
	a.set.GetOrCreateCounter(fmt.Sprintf("toolset_kubernetes_forbidden_total{verb=%q,resource=%q}", r.Verb, r.Resource)).Inc()
}

// follow logs the first snapshot, and notifies the writer of each one. The writer finds
// out whether its documents have changed.
func (a *App) follow(ctx context.Context) error {
	begin, first := time.Now(), true
	for snap := range a.catalogue.Snapshots(ctx) {
		if first {
			a.tellFirst(snap, time.Since(begin))
			first = false
		}
		if a.writer != nil {
			a.writer.Notify()
		}
	}
	return nil
}

// tellFirst logs what was found when the cluster was read for the first time.
func (a *App) tellFirst(snap *snapshot.Snapshot, took time.Duration) {
	a.discovery.Update(took.Seconds())
	if snap.Toolsets().Len() == 0 {
		a.log.Warn("No back end was found", zap.String("hint", "is that the right folder, cluster or namespace? At the level debug the log says of each Service why it is none"))
	}
	a.log.Info("The cluster has been read", zap.Int("toolsets", snap.Toolsets().Len()), zap.Duration("duration", took))
	a.tellUnmatched()
}
