package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
)

// connect makes the source and the writer for a real cluster.
func (a *app) connect() error {
	s := a.settings
	cfg, err := cluster.Connect(s.Cluster.Kubeconfig, s.Cluster.Context, versionText())
	if err != nil {
		return err
	}
	a.source, err = cluster.NewKubernetes(cfg, cluster.KubernetesOptions{
		Sink: a.catalogue, Logger: a.log, Namespaces: s.Cluster.Namespaces, Resync: s.Cluster.Resync,
		OnForbidden: a.countForbidden,
	})
	if err == nil {
		err = a.askWhoCalls(cfg)
	}
	if err != nil || !s.ConfigMap.Enabled {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	a.writer = cluster.NewConfigMapWriter(client, s.ConfigMap.Namespace, s.ConfigMap.Name, a.document, a.writerOptions())
	return nil
}

// buildFileWriter makes the writer of --write-configmap.
func (a *app) buildFileWriter() {
	c := a.settings.ConfigMap
	a.writer = cluster.NewFileWriter(c.Write, os.Stdout, c.Namespace, c.Name, a.document, a.writerOptions())
}

func (a *app) writerOptions() cluster.WriterOptions {
	return cluster.WriterOptions{
		Logger: a.log,
		OnWrite: func(outcome string) {
			a.set.GetOrCreateCounter(fmt.Sprintf("toolset_configmap_writes_total{result=%q}", outcome)).Inc()
		},
		OnDrift:     a.set.NewCounter("toolset_configmap_drift_total").Inc,
		OnVersion:   a.catalogue.SetConfigMapVersion,
		OnForbidden: a.countForbidden,
	}
}

// countForbidden counts the calls that were refused for want of a right. It
// grows for as long as the right is missing.
func (a *app) countForbidden(r *cluster.MissingRight) {
	a.set.GetOrCreateCounter(fmt.Sprintf("toolset_kubernetes_forbidden_total{verb=%q,resource=%q}", r.Verb, r.Resource)).Inc()
}

// document is what the writer writes; nil until the cluster has been read.
func (a *app) document() []byte {
	if snap := a.catalogue.Snapshot(); snap != nil {
		return snap.Document().JSON
	}
	return nil
}

// followSnapshots tells the writer of every new snapshot. The writer itself
// sees whether the document is another one.
func (a *app) followSnapshots(ctx context.Context) error {
	begin := time.Now()
	select {
	case <-a.source.FirstSync():
	case <-ctx.Done():
		return nil
	}
	for a.catalogue.Snapshot() == nil {
		if !pause(ctx, time.Millisecond) {
			return nil
		}
	}
	a.discovery.Update(time.Since(begin).Seconds())
	a.log.Info("The cluster has been read", zap.Int("toolsets", a.catalogue.Snapshot().Toolsets().Len()), zap.Duration("duration", time.Since(begin)))
	for {
		snap := a.catalogue.Snapshot()
		if a.writer != nil {
			a.writer.Notify()
		}
		select {
		case <-snap.Superseded():
		case <-ctx.Done():
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
