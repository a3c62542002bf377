// Package cluster adapts the service to a cluster. It has what its sub-packages share: how
// to reach an API server, what to say when a call fails, and what a source of Services is.
//
// Services come in from one of two places. Package kubernetes watches the API server of a
// real cluster; package manifests reads the same objects from a folder of Kubernetes YAML,
// for laptops, tests and edge boxes that have no API server. Both are a [Source]: they hand
// what they find to a [Sink], and say by [Availability] whether that is still current. What a
// Service means is none of their business: they move objects, keep them small, and are right
// about deletions.
//
// The generated documents go out by package configmap, which also reads the administrator's
// overrides. Of several replicas one writes: the one that holds the Lease, see package
// leader. Package events sends Events about it. Package tokenreview asks the API server who
// the callers of this service are.
//
// Whatever is asked of an API server is a [Call], and its failure an [Error]: a sentence that
// says what to do. Where a right is missing, a [*MissingRight] is among its causes.
package cluster

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// A Sink receives the state of the cluster. Calls come one at a time, are
// cheap, and never block. The Services are stripped to what is of use (see
// Strip) and may be kept, but not changed.
type Sink interface {
	// Replace makes services the whole state; whatever is not among them is gone.
	Replace(services []*corev1.Service)
	// Begin begins to replace the state of a namespace, or with an empty name
	// the whole state, piece by piece: of a large cluster, all Services at once
	// would take hundreds of megabytes, and few of them are of interest. Each
	// Replacement is used between other calls.
	Begin(namespace string) service.Replacement
	// Upsert adds or changes one Service. It may be called with an unchanged one.
	Upsert(svc *corev1.Service)
	// Delete removes one Service, which need not be known.
	Delete(namespace, name string)
}

// A Source finds Services and keeps a Sink up to date with them.
type Source interface {
	// Run works until ctx ends, and returns when everything it started has
	// ended. It is called once. An error means that it could never begin.
	Run(ctx context.Context) error
	// FirstSync returns a channel that is closed once the Sink has had the whole state.
	FirstSync() <-chan struct{}
	// Status says whether the source can be reached. It is a look at a cached
	// value, fit for a readiness probe.
	Status() Availability
	// Relist reads the whole state afresh and hands it to the Sink before it
	// returns. Calls that overlap share the work, but none is given a reading
	// that began before the call.
	Relist(ctx context.Context) error
}

// Availability is whether a source can be reached, as last found out.
type Availability struct {
	// Synced is true once the Sink has had the whole state; it stays so.
	Synced bool
	// Reachable is what the last check found; false before the first.
	Reachable bool
	// UnreachableSince is when Reachable became false (the source's creation,
	// before the first check); zero while it is true.
	UnreachableSince time.Time
	// LastError says in one sentence what is wrong now; empty if nothing is.
	// It is escaped and bounded, but may name addresses: not for strangers.
	LastError string
	// Denied is the right whose lack keeps the state from being read, and
	// DeniedSince is since when; nil and zero while there is none. The source
	// may be reachable all the same.
	Denied      *MissingRight
	DeniedSince time.Time
}

// ErrNotRunning means that Run was not called yet, or has returned.
var ErrNotRunning = errors.New("cluster: not running (it has not been started yet, or is being shut down)")
