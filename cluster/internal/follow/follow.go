// Package follow follows one object of an API server: a ConfigMap or a Lease.
//
// A [Follower] lists and watches with a field selector for the object's name, so that it
// needs no right to see others of its kind. client-go's Reflector implements the protocol
// (bookmarks, expired versions, lists after a gap); this package decides when it starts
// again, and what is logged when it fails.
package follow

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// An Object is a type of Kubernetes objects, such as *corev1.ConfigMap.
type Object interface {
	metav1.Object
	runtime.Object
}

// A Client lists and watches the objects of a namespace, like the clients of client-go. L
// is the type of their lists.
type Client[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// A Follower follows one object. T is the type of the object, and L that of lists of it.
// All fields are required except Listing.
type Follower[T Object, L runtime.Object] struct {
	Kind   string // for client-go's log lines
	Name   string
	Client Client[L]
	// Timeout bounds one list.
	Timeout time.Duration
	// Listing is called before each list. It may be nil.
	Listing func()
	// Seen is called with the object after each list and change; with the zero value if
	// there is none. version is its resourceVersion, or that of its deletion or of the
	// empty list.
	Seen func(object T, version string, listed bool)
	// Failed is called with the reason when the object can't be followed, and with nil
	// when it can be again.
	Failed func(error)
	// Explain returns an error that describes a failed call; verb is VerbList or
	// VerbWatch.
	Explain func(verb string, err error) error
	// Hopeless reports whether the next attempt should wait for somebody to grant a
	// right.
	Hopeless    func(*cluster.FailureLog) bool
	OnForbidden func(*cluster.MissingRight)
	Log         *zap.Logger
	// Log messages: the object can't be followed, and why that matters; the right to
	// watch is missing, so that it is only listed now and then; all is well again.
	CannotFollow, CannotWatch, CanFollow string

	// inCall is held during a list. When its context ends, the Reflector returns without
	// waiting for a list under way. With this lock Run does.
	inCall sync.Mutex

	// These belong to the goroutine of Run.
	listed   bool // since the Reflector was started
	failures cluster.FailureLog
}

// Run follows the object until ctx ends.
func (f *Follower[T, L]) Run(ctx context.Context) {
	logger, backoff := cluster.Logr(f.Log), retry.Backoff()
	var example T
	reflector := cache.NewReflectorWithOptions(calls[T, L]{f}, example, store[T, L]{f},
		cache.ReflectorOptions{Name: f.Kind, Logger: &logger, Backoff: &backoff})
	pauses := retry.Backoff()
	logged := klog.NewContext(ctx, logger)
	for {
		f.listed = false
		err := reflector.ListAndWatchWithContext(logged)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			f.failed(err)
		} else {
			pauses = retry.Backoff()
		}
		pause := pauses.Step()
		if f.Hopeless(&f.failures) {
			pause = retry.Jitter(retry.Denied, 0.1)
		}
		if !retry.Sleep(ctx, pause) {
			break
		}
	}
	f.inCall.Lock() // wait for a list that the Reflector has left behind
	defer f.inCall.Unlock()
}

func (f *Follower[T, L]) failed(err error) {
	verb := cluster.VerbList
	if f.listed {
		verb = cluster.VerbWatch
	}
	err = f.Explain(verb, err)
	tell, right := f.failures.Note(verb, err), f.failures.Right
	if right != nil {
		f.OnForbidden(right)
	}
	f.Failed(err)
	switch {
	case !tell:
	case right == nil:
		f.Log.Warn(f.CannotFollow, zap.Error(err))
	case verb == cluster.VerbWatch: // a right does not come by itself, so this is an error
		f.Log.Error(f.CannotWatch, zap.Error(err))
	default:
		f.Log.Error(f.CannotFollow, zap.Error(err))
	}
}

func (f *Follower[T, L]) worked(verb string) {
	if f.failures.Works(verb) {
		f.Failed(nil)
		f.Log.Info(f.CanFollow)
	}
}

func (f *Follower[T, L]) only(o metav1.ListOptions) metav1.ListOptions {
	o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, f.Name).String()
	return o
}

// calls implements cache.ListerWatcher for the Reflector.
type calls[T Object, L runtime.Object] struct{ *Follower[T, L] }

// IsWatchListSemanticsUnSupported makes the Reflector list before it watches. Otherwise
// it would get the list through the watch, whose retries do not end with the context.
func (c calls[T, L]) IsWatchListSemanticsUnSupported() bool { return true }

// List implements cache.ListerWatcher.
func (c calls[T, L]) List(o metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), o)
}

// Watch implements cache.ListerWatcher.
func (c calls[T, L]) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return c.WatchWithContext(context.Background(), o)
}

// ListWithContext implements cache.ListerWatcherWithContext.
func (c calls[T, L]) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	c.inCall.Lock()
	defer c.inCall.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	o = c.only(o)
	// Always ask for the latest state. The Reflector would accept any state that is not
	// older than the last one it has seen, and so would never follow a cluster that was
	// restored from a backup.
	o.ResourceVersion, o.ResourceVersionMatch = "", ""
	if c.Listing != nil {
		c.Listing()
	}
	return c.Client.List(ctx, o)
}

// WatchWithContext implements cache.ListerWatcherWithContext.
func (c calls[T, L]) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := c.Client.Watch(ctx, c.only(o))
	if err == nil {
		c.worked(cluster.VerbWatch)
	}
	return w, err
}

// store receives what the Reflector finds.
type store[T Object, L runtime.Object] struct{ *Follower[T, L] }

func (s store[T, L]) Add(object any) error { return s.Update(object) }
func (s store[T, L]) Resync() error        { return nil }

func (s store[T, L]) Update(object any) error {
	o := object.(T)
	s.Seen(o, o.GetResourceVersion(), false)
	return nil
}

func (s store[T, L]) Delete(object any) error {
	var none T
	s.Seen(none, object.(T).GetResourceVersion(), false)
	return nil
}

func (s store[T, L]) Replace(list []any, version string) error {
	s.listed = true
	s.worked(cluster.VerbList)
	if len(list) == 0 {
		var none T
		s.Seen(none, version, true)
	}
	for _, object := range list {
		o := object.(T)
		s.Seen(o, o.GetResourceVersion(), true)
	}
	return nil
}

// OlderOrSame reports whether the resourceVersion a is not later than b; false if they
// can't be compared.
func OlderOrSame(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order <= 0
}
