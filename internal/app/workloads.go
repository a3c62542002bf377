package app

import (
	"context"
	"time"

	"go.uber.org/zap"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	watch "kubernaut.io/dynamic-toolset/cluster/workloads"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/workloads"
)

// usesWorkloads returns an index for the workloads if they are known; else nil.
func usesWorkloads(c config.Cluster, d config.Discovery) *workloads.Index {
	if c.Manifests == "" && !d.WorkloadEvidence {
		return nil
	}
	return &workloads.Index{}
}

// asEvidence returns index for recognise; nil if there is none.
func asEvidence(index *workloads.Index) service.Workloads {
	if index == nil {
		return nil
	}
	return index
}

// through returns what a source passes Services and workloads on to, on their way to sink.
// Without an index it is sink itself, and nobody wants the workloads.
func through(index *workloads.Index, sink cluster.Sink) (cluster.Sink, cluster.WorkloadSink) {
	if index == nil {
		return sink, nil
	}
	follower := index.Follow(sink)
	return follower, follower
}

// watchWorkloads returns a watcher of the workloads of a cluster. It has a client of its
// own, so that its lists don't delay those of Services.
func watchWorkloads(cfg *rest.Config, sink cluster.WorkloadSink, namespaces []string, log *zap.Logger, forbidden func(*cluster.MissingRight)) (*watch.Watcher, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := clientgo.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return watch.New(watch.Options{Client: client, Sink: sink, Logger: log, Namespaces: namespaces, OnForbidden: forbidden})
}

// workloadsPatience is how long, at the start, the source of Services waits for the
// workloads.
const workloadsPatience = 5 * time.Second

// awaitWorkloads waits until the workloads have been read, or could not be.
func awaitWorkloads(ctx context.Context, w *watch.Watcher) {
	patience := time.NewTimer(workloadsPatience)
	defer patience.Stop()
	select {
	case <-w.Tried():
	case <-patience.C:
	case <-ctx.Done():
	}
}
