// Package follow follows one object of an API server: a ConfigMap or a Lease.
//
// A [Follower] lists and watches with a field selector for the object's name, so that it
// needs no right to see others of its kind (package listwatch). This package decides when it
// starts again, and what is logged when it fails.
package follow

import (
	"context"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/listwatch"
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

	failures cluster.FailureLog // used by the goroutine of Run
}

// Run follows the object until ctx ends.
func (f *Follower[T, L]) Run(ctx context.Context) {
	var example, none T
	listwatch.New(listwatch.Options{
		Name: f.Kind, Example: example, Log: f.Log,
		List: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if f.Listing != nil {
				f.Listing()
			}
			return listwatch.Page(ctx, f.Timeout, f.only(o), f.Client.List)
		},
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return f.Client.Watch(ctx, f.only(o))
		},
		Worked: f.worked,
		Listed: func(list []any, version string) {
			if len(list) == 0 {
				f.Seen(none, version, true)
			}
			for _, object := range list {
				o := object.(T)
				f.Seen(o, o.GetResourceVersion(), true)
			}
		},
		Changed: func(object any) {
			o := object.(T)
			f.Seen(o, o.GetResourceVersion(), false)
		},
		Deleted: func(object any) { f.Seen(none, object.(T).GetResourceVersion(), false) },
	}).Run(ctx, f.failed, func() bool { return f.Hopeless(&f.failures) })
}

func (f *Follower[T, L]) failed(verb string, err error) {
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

// OlderOrSame reports whether the resourceVersion a is not later than b; false if they
// can't be compared.
func OlderOrSame(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order <= 0
}
