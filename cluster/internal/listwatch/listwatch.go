// Package listwatch lists objects of an API server, page by page, and then watches them.
// client-go's Reflector implements the protocol (bookmarks, expired versions, lists after a
// gap); a [Reflector] of this package is one that always asks for the latest state, and that
// leaves no call behind when it ends.
package listwatch

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// Options say what to list and watch, and what to do with it. All but PageSize and Worked
// are required. List may be called in a goroutine of its own; all others are called one at a
// time, in that of Once or Run.
type Options struct {
	Name    string         // for client-go's log lines
	Example runtime.Object // of the objects
	Log     *zap.Logger
	// PageSize is the number of objects on a page; 0 for client-go's default.
	PageSize int64
	// List reads one page: the first if o.Continue is empty. It should call Page.
	List func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error)
	// Watch begins to watch.
	Watch func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
	// Worked is called after a whole list, before Listed, and when a watch has begun; verb is
	// VerbList or VerbWatch.
	Worked func(verb string)
	// Listed is called with the items of all pages, as List has returned them, and the
	// resourceVersion.
	Listed func(items []any, version string)
	// Changed and Deleted are called with each object that has changed since.
	Changed, Deleted func(object any)
}

// A Reflector lists and watches.
type Reflector struct {
	opts   Options
	client *cache.Reflector

	// inCall is held during a list. When its context ends, client-go returns without waiting
	// for a list under way. With this lock Wait does.
	inCall sync.Mutex

	listed bool // since Once was called
}

// New returns a Reflector. It makes no call.
func New(o Options) *Reflector {
	if o.Worked == nil {
		o.Worked = func(string) {}
	}
	r := &Reflector{opts: o}
	logger, backoff := cluster.Logr(o.Log), retry.Backoff()
	r.client = cache.NewReflectorWithOptions(calls{r}, o.Example, store{r}, cache.ReflectorOptions{Name: o.Name, Logger: &logger, Backoff: &backoff})
	r.client.WatchListPageSize = o.PageSize
	return r
}

// Once lists, and watches until that ends. The error says why, if it was a failure.
func (r *Reflector) Once(ctx context.Context) error {
	r.listed = false
	return r.client.ListAndWatchWithContext(klog.NewContext(ctx, cluster.Logr(r.opts.Log)))
}

// Wait waits for a list that Once has left behind when its context ended.
func (r *Reflector) Wait() {
	r.inCall.Lock()
	defer r.inCall.Unlock()
}

// Run lists and watches again and again until ctx ends, with pauses between. It calls failed
// with each failure; verb is VerbList or VerbWatch. If hopeless then says so, because a right
// is missing that somebody has to grant, the pause is that of retry.Denied.
func (r *Reflector) Run(ctx context.Context, failed func(verb string, err error), hopeless func() bool) {
	defer r.Wait()
	pauses := retry.Backoff()
	for {
		err := r.Once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pauses = retry.Backoff()
		case r.listed:
			failed(cluster.VerbWatch, err)
		default:
			failed(cluster.VerbList, err)
		}
		pause := pauses.Step()
		if hopeless() {
			pause = retry.Jitter(retry.Denied, 0.1)
		}
		if !retry.Sleep(ctx, pause) {
			return
		}
	}
}

// Page reads one page of the latest state with a call of list, which it gives timeout. The
// Reflector would accept any state that is not older than the last one it has seen, and so
// would never follow a cluster that was restored from a backup.
func Page[L any](ctx context.Context, timeout time.Duration, o metav1.ListOptions, list func(context.Context, metav1.ListOptions) (L, error)) (L, error) {
	o.ResourceVersion, o.ResourceVersionMatch = "", ""
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return list(ctx, o)
}

// calls implements cache.ListerWatcherWithContext for client-go.
type calls struct{ *Reflector }

// IsWatchListSemanticsUnSupported makes client-go list before it watches, page by page.
// Otherwise it would get the list through the watch: all objects would be in memory at once,
// nobody could tell when a list began, and retries would not end with the context.
func (c calls) IsWatchListSemanticsUnSupported() bool { return true }

func (c calls) List(o metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), o)
}

func (c calls) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return c.WatchWithContext(context.Background(), o)
}

func (c calls) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	c.inCall.Lock()
	defer c.inCall.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.opts.List(ctx, o)
}

func (c calls) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := c.opts.Watch(ctx, o)
	if err == nil {
		c.opts.Worked(cluster.VerbWatch)
	}
	return w, err
}

// store receives what client-go finds. Its methods are called one at a time.
type store struct{ *Reflector }

func (s store) Add(object any) error    { s.opts.Changed(object); return nil }
func (s store) Update(object any) error { s.opts.Changed(object); return nil }
func (s store) Delete(object any) error { s.opts.Deleted(object); return nil }
func (s store) Resync() error           { return nil }

func (s store) Replace(items []any, version string) error {
	s.listed = true
	s.opts.Worked(cluster.VerbList)
	s.opts.Listed(items, version)
	return nil
}
