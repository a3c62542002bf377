package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// A leaseWatch follows the one Lease for a Leader. It costs the API server an event
// per replica for each renewal, and no calls.
type leaseWatch struct {
	l *Leader

	mu sync.Mutex // held during a list; see scope.inCall

	// Of the goroutine of run.
	count    int  // of observations, when the list began
	listed   bool // in this run of the Reflector
	failures failureLog
}

func newLeaseWatch(l *Leader) *leaseWatch { return &leaseWatch{l: l} }

// run follows the Lease until ctx ends.
func (w *leaseWatch) run(ctx context.Context) {
	logger, backoff := newLogr(w.l.log), retry
	reflector := cache.NewReflectorWithOptions(w, &coordinationv1.Lease{}, leaseStore{w},
		cache.ReflectorOptions{Name: "lease", Logger: &logger, Backoff: &backoff})
	pause := retry
	logged := klog.NewContext(ctx, logger)
	for {
		w.listed = false
		err := reflector.ListAndWatchWithContext(logged)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			w.failed(err)
		} else {
			pause = retry
		}
		wait := pause.Step()
		if w.failures.right != nil && w.failures.lasts() {
			wait = jitter(deniedRetry, 0.1)
		}
		if !sleep(ctx, wait) {
			break
		}
	}
	w.mu.Lock() // a list that was left alone has ended
	defer w.mu.Unlock()
}

func (w *leaseWatch) failed(err error) {
	verb := verbList
	if w.listed {
		verb = verbWatch
	}
	err = w.l.explain(verb, err)
	w.l.noteWatch(err)
	tell, right := w.failures.note(verb, err), w.failures.right
	if right != nil {
		w.l.opts.OnForbidden(right)
	}
	if !tell {
		return
	}
	level, text := zap.WarnLevel, "The lease cannot be followed; this replica does not learn who leads until it can"
	if right != nil {
		level = zap.ErrorLevel // it does not pass by itself
		if verb == verbWatch {
			text = fmt.Sprintf("The lease cannot be watched; until it can, this replica looks every %s whether to take over", deniedRetry)
		}
	}
	w.l.log.Log(level, text, zap.Error(err))
}

func (w *leaseWatch) worked(verb string) {
	if w.failures.works(verb) {
		w.l.noteWatch(nil)
		w.l.log.Info("The lease can be followed again")
	}
}

// IsWatchListSemanticsUnSupported: see listWatch.
func (w *leaseWatch) IsWatchListSemanticsUnSupported() bool { return true }

// List implements cache.ListerWatcher.
func (w *leaseWatch) List(o metav1.ListOptions) (runtime.Object, error) {
	return w.ListWithContext(context.Background(), o)
}

// Watch implements cache.ListerWatcher.
func (w *leaseWatch) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return w.WatchWithContext(context.Background(), o)
}

// ListWithContext implements cache.ListerWatcherWithContext.
func (w *leaseWatch) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	o = w.l.only(o)
	o.ResourceVersion, o.ResourceVersionMatch = "", "" // the latest; see listWatch
	w.count = w.l.lastSeen().count
	return w.l.client.CoordinationV1().Leases(w.l.ns).List(ctx, o)
}

// WatchWithContext implements cache.ListerWatcherWithContext.
func (w *leaseWatch) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	stream, err := w.l.client.CoordinationV1().Leases(w.l.ns).Watch(ctx, w.l.only(o))
	if err == nil {
		w.worked(verbWatch)
	}
	return stream, err
}

// leaseStore takes what the Reflector finds.
type leaseStore struct{ *leaseWatch }

func (s leaseStore) Add(obj any) error { return s.Update(obj) }
func (s leaseStore) Resync() error     { return nil }

func (s leaseStore) Update(obj any) error {
	lease := obj.(*coordinationv1.Lease)
	s.l.observe(lease, lease.ResourceVersion, -1)
	return nil
}

func (s leaseStore) Delete(obj any) error {
	s.l.observe(nil, obj.(*coordinationv1.Lease).ResourceVersion, -1)
	return nil
}

func (s leaseStore) Replace(list []any, rv string) error {
	s.listed = true
	s.worked(verbList)
	s.mu.Lock()
	count := s.count
	s.mu.Unlock()
	if len(list) == 0 {
		s.l.observe(nil, rv, count)
	}
	for _, obj := range list {
		lease := obj.(*coordinationv1.Lease)
		s.l.observe(lease, lease.ResourceVersion, count)
	}
	return nil
}

// hostOf is the API server's address, for messages.
func hostOf(client rest.Interface) string {
	if c, ok := client.(*rest.RESTClient); ok && c != nil {
		return strings.TrimSuffix(c.Get().URL().String(), "/")
	}
	return "its address"
}
