// Package workloads watches the Deployments, StatefulSets and DaemonSets of a cluster, as
// evidence for what its Services are.
//
// It is no source of truth: without it, or with a right missing, Services are recognised by
// their own metadata. So a [Watcher] never fails; what it can't do is logged.
//
// Of each object it passes on the labels, images and ports of its pods (service.Workload),
// and keeps nothing. Environment variables, arguments and annotations, which may hold
// secrets, are dropped as soon as a page of a list or an event is decoded. (Metadata alone
// would be less to receive, but have no images.)
//
// Custom resources of operators are not watched: what operators make of them is. The
// exception is Strimzi, which makes pods without a StatefulSet; the labels of its Services
// say what they are.
package workloads

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
)

// Options configure a Watcher. Client and Sink are required.
type Options struct {
	Client kubernetes.Interface
	Sink   cluster.WorkloadSink
	Logger *zap.Logger // default: none
	// Namespaces lists the namespaces to watch; empty for all.
	Namespaces []string
	// ListTimeout bounds the time for one page of a list; default 30 s.
	ListTimeout time.Duration
	// PageSize is the number of objects on one page of a list; default 500, which are some
	// megabytes.
	PageSize int64
	// OnForbidden is called for each call that the API server has refused because a right
	// is missing. It must not block.
	OnForbidden func(*cluster.MissingRight)
}

// A Watcher passes the workloads of a cluster on to a cluster.WorkloadSink.
type Watcher struct {
	opts   Options
	log    *zap.Logger
	host   string
	scopes []*scope
	tried  chan struct{} // closed when each scope has listed, or failed to
	left   sync.WaitGroup
	mu     sync.Mutex // guards scope.problem
}

// New returns a Watcher. It makes no call.
func New(opts Options) (*Watcher, error) {
	if opts.Client == nil || opts.Sink == nil {
		return nil, errors.New("workloads: Options.Client and Options.Sink are required")
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.OnForbidden == nil {
		opts.OnForbidden = func(*cluster.MissingRight) {}
	}
	opts.ListTimeout = cmp.Or(opts.ListTimeout, 30*time.Second)
	opts.PageSize = cmp.Or(opts.PageSize, 500)
	opts.Namespaces = slices.Compact(slices.Sorted(slices.Values(opts.Namespaces)))
	if len(opts.Namespaces) == 0 {
		opts.Namespaces = []string{metav1.NamespaceAll}
	}
	w := &Watcher{opts: opts, log: opts.Logger, host: cluster.Host(opts.Client.AppsV1().RESTClient()), tried: make(chan struct{})}
	for _, ns := range opts.Namespaces {
		for _, r := range resources {
			w.scopes = append(w.scopes, newScope(w, r, ns))
		}
	}
	w.left.Add(len(w.scopes))
	return w, nil
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range w.scopes {
		wg.Go(func() { s.run(ctx) })
	}
	w.left.Wait()
	close(w.tried)
	wg.Wait()
}

// Problem returns what is wrong now; nil if nothing is.
func (w *Watcher) Problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.scopes {
		if s.problem != nil {
			return s.problem
		}
	}
	return nil
}

// Tried returns a channel that is closed when each list has been read, or could not be.
func (w *Watcher) Tried() <-chan struct{} { return w.tried }
