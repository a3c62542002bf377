package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/kubernetes"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/cluster/workloads"
	"kubernaut.io/dynamic-toolset/config"
)

// readOnce reads the whole state of the cluster into sink, and its workloads into follower,
// if that is not nil.
func readOnce(s *config.Reading, version string, sink cluster.Sink, follower cluster.WorkloadSink) error {
	r, err := newReader(s, version, sink, follower)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	return r.start(ctx, &running, s.Timeout)
}

// A reader reads a cluster or a folder, for commands without a server.
type reader struct {
	place   string // what it reads, for messages
	source  source
	watcher *workloads.Watcher // nil if the workloads are not to be watched
	// problems returns what could not be used, once it has been read.
	problems func() error
}

// start starts to read and to follow changes, and returns when everything has been read, or
// with the reason why that can't be done in time. What it has started ends with ctx.
func (r *reader) start(ctx context.Context, running *sync.WaitGroup, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	if r.watcher != nil {
		running.Go(func() { r.watcher.Run(ctx) })
		select {
		case <-r.watcher.Tried():
		case <-late.C:
			late.Reset(0)
		}
		// The output must not depend on whether a list has failed.
		if err := r.watcher.Problem(); err != nil {
			return fmt.Errorf("the workloads of the cluster can't be read: %w", err)
		}
	}
	ended := make(chan error, 1)
	running.Go(func() { ended <- r.source.Run(ctx) })
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-r.source.FirstSync():
			return r.problems()
		case err := <-ended:
			if err != nil {
				return err
			}
			return unread(r.source.Status(), patience)
		case <-late.C:
			return unread(r.source.Status(), patience)
		case <-look.C:
			// Waiting does not help if a right is missing.
			if denied := r.source.Status().Denied; denied != nil {
				return fmt.Errorf("the cluster can't be read: %w", denied)
			}
		}
	}
}

// unread returns an error that says why the cluster could not be read in time.
func unread(a cluster.Availability, patience time.Duration) error {
	reason := a.LastError
	if reason == "" {
		reason = "raise --timeout if it is very large"
	}
	return fmt.Errorf("the cluster could not be read within %s: %s", patience, reason)
}

// newReader returns a reader that has not read anything yet.
func newReader(s *config.Reading, version string, sink cluster.Sink, follower cluster.WorkloadSink) (*reader, error) {
	cluster.RedirectClientLogs(zap.NewNop())
	if s.Cluster.Manifests != "" {
		m, err := manifests.New(s.Cluster.Manifests, manifests.Options{Sink: sink, Workloads: follower})
		if err != nil {
			return nil, err
		}
		return &reader{place: manifestsName(s.Cluster.Manifests), source: m, problems: func() error {
			list := m.Problems()
			if len(list) == 0 {
				return nil
			}
			return &unusable{manifestsName(s.Cluster.Manifests), list}
		}}, nil
	}
	cfg, err := cluster.Connect(s.Cluster.Kubeconfig, s.Cluster.Context, version)
	if err != nil {
		return nil, err
	}
	r := &reader{place: "the cluster at " + cfg.Host, problems: func() error { return nil }}
	if follower != nil {
		if r.watcher, err = watchWorkloads(cfg, follower, s.Cluster.Namespaces, zap.NewNop(), nil); err != nil {
			return nil, err
		}
	}
	r.source, err = kubernetes.New(cfg, kubernetes.Options{Sink: sink, Namespaces: s.Cluster.Namespaces})
	return r, err
}
