// Package cluster connects the service to a cluster. It has what the packages below
// share: how to reach an API server, how to describe a call that fails, and what a source
// of Services is.
//
// Services come from one of two places. Package kubernetes watches the API server of a
// real cluster. Package manifests reads the same objects from a folder of Kubernetes
// YAML, for laptops, tests and edge boxes without an API server. Both implement [Source]:
// they pass what they find to a [Sink], and tell by [Availability] whether that is
// current. They don't interpret Services; they pass them on, keep them small, and are
// right about deletions.
//
// Package configmap writes the generated documents and reads the administrator's
// overrides. Of several replicas, the one that holds the Lease writes: see package
// leader. Package events sends Events about that. Package tokenreview asks the API server
// who the callers of this service are.
//
// A [Call] describes a call to an API server, and an [Error] its failure, in a sentence
// that says what to do. If a right is missing, the Error wraps a [*MissingRight].
package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// A Sink receives the state of the cluster. Its methods are called one at a time, and
// must be cheap and not block. Services are stripped (see Strip). They may be kept, but
// must not be changed.
type Sink interface {
	// Replace makes services the whole state; all others are gone.
	Replace(services []*corev1.Service)
	// Begin begins to replace the state of a namespace, or the whole state if the name is
	// empty, piece by piece. In a large cluster all Services at once would take hundreds
	// of megabytes, and few of them are of interest. Other methods may be called before
	// the Replacement is complete, but not at the same time as its methods.
	Begin(namespace string) service.Replacement
	// Upsert adds or changes one Service. It may be called with an unchanged one.
	Upsert(svc *corev1.Service)
	// Delete removes a Service. It need not exist.
	Delete(namespace, name string)
}

// A WorkloadSink receives the workloads of the cluster, as evidence for what Services are
// (see Workload). Its methods may be called by several goroutines. They don't block, but
// may pass on again all Services that are concerned.
type WorkloadSink interface {
	// ReplaceWorkloads makes these all workloads of a kind in a namespace; an empty string
	// stands for all kinds or namespaces.
	ReplaceWorkloads(kind, namespace string, workloads []*service.Workload)
	// SetWorkload adds a workload or changes it. It may be called with an unchanged one.
	SetWorkload(w *service.Workload)
	// DeleteWorkload removes a workload, of which only the names count. It need not exist.
	DeleteWorkload(w *service.Workload)
}

// A Source finds Services and keeps a Sink up to date.
type Source interface {
	// Run works until ctx ends, and returns when everything it has started has ended. It
	// must be called once. An error means that it could not start.
	Run(ctx context.Context) error
	// FirstSync returns a channel that is closed once the Sink has received the whole
	// state.
	FirstSync() <-chan struct{}
	// Status returns whether the source can be reached. It returns a cached value, so it
	// may be used by a readiness probe.
	Status() Availability
	// Relist reads the whole state again, and passes it to the Sink before it returns.
	// Concurrent calls share the work, but no call gets a state whose reading began
	// before the call.
	Relist(ctx context.Context) error
}

// Availability tells whether a source can be reached, as last found out.
type Availability struct {
	// Synced is true once the Sink has received the whole state, and stays true.
	Synced bool
	// Reachable is the result of the last check; false before the first.
	Reachable bool
	// UnreachableSince is when Reachable became false (before the first check, when the
	// source was created); zero while it is true.
	UnreachableSince time.Time
	// LastError is a sentence about what is wrong now; empty if nothing is. It is escaped
	// and bounded, but may contain addresses: it must not be shown to clients.
	LastError string
	// Denied is the missing right that keeps the state from being read, and DeniedSince
	// since when; nil and zero if there is none. The source may be reachable all the
	// same.
	Denied      *MissingRight
	DeniedSince time.Time
}

// StaleSince is when the source could last be read; zero if it can be read now.
func (a Availability) StaleSince() time.Time {
	if !a.Reachable {
		return a.UnreachableSince
	}
	return a.DeniedSince
}

// ErrNotRunning means that Run has not been called yet, or has returned.
var ErrNotRunning = errors.New("cluster: not running (it has not been started yet, or is being shut down)")

// A Finder finds single Services. It may ask the cluster, so a call takes a while and may
// fail.
type Finder interface {
	// Find returns a Service, stripped. If there is none, it returns nil and others among
	// which may be the one that is meant: some in the same namespace, and those of the same
	// name in other namespaces. It returns a *NotWatched if the Source would not see the
	// Service.
	Find(ctx context.Context, key service.Key) (svc *corev1.Service, others []service.Key, err error)
}

// NotWatched is the error for a namespace that a Source does not look into.
type NotWatched struct {
	Namespace string
	Watched   []string // the namespaces that it does look into
}

// Error implements error.
func (n *NotWatched) Error() string {
	return fmt.Sprintf("the namespace %s is not watched; watched are %s (--namespaces)", n.Namespace, strings.Join(n.Watched, ", "))
}
