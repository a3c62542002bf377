package workloads

import (
	"context"
	"sync"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// A scope lists and watches one resource in one namespace, or in all. client-go's Reflector
// implements the protocol; the scope decides when it starts again.
type scope struct {
	w         *Watcher
	resource  resource
	namespace string
	reflector *cache.Reflector
	once      sync.Once // for Watcher.left

	// inCall is held during a list. When its context ends, the Reflector returns without
	// waiting for a list under way. With this lock run does.
	inCall sync.Mutex
	read   []*service.Workload // what the current list has found; guarded by inCall

	problem error // guarded by Watcher.mu; nil if all is well

	// These belong to the goroutine of run.
	listed   bool // since the Reflector was started
	failures cluster.FailureLog
}

func newScope(w *Watcher, r resource, namespace string) *scope {
	s := &scope{w: w, resource: r, namespace: namespace}
	logger, backoff := cluster.Logr(w.log), retry.Backoff()
	s.reflector = cache.NewReflectorWithOptions(listWatch{s}, r.example, store{s},
		cache.ReflectorOptions{Name: r.name, Logger: &logger, Backoff: &backoff})
	s.reflector.WatchListPageSize = w.opts.PageSize
	return s
}

func (s *scope) run(ctx context.Context) {
	logged := klog.NewContext(ctx, cluster.Logr(s.w.log))
	pauses := retry.Backoff()
	for {
		s.listed = false
		err := s.reflector.ListAndWatchWithContext(logged)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			pauses = retry.Backoff()
		} else {
			s.failed(err)
		}
		s.once.Do(s.w.left.Done)
		pause := pauses.Step()
		if s.failures.Right != nil {
			pause = retry.Jitter(retry.Denied, 0.1)
		}
		if !retry.Sleep(ctx, pause) {
			break
		}
	}
	s.once.Do(s.w.left.Done)
	s.inCall.Lock() // wait for a list that the Reflector has left behind
	defer s.inCall.Unlock()
}

// failed notes a failure, and logs it if it is new. A right that is missing is logged once,
// since all works without it; other failures again after a while.
func (s *scope) failed(err error) {
	verb := cluster.VerbList
	if s.listed {
		verb = cluster.VerbWatch
	}
	err = cluster.Call{Verbs: verb, Resource: s.resource.name, Namespace: s.namespace, Host: s.w.host}.Explain(err)
	s.setProblem(err)
	before := s.failures.Right
	tell, right := s.failures.Note(verb, err), s.failures.Right
	if right != nil {
		s.w.opts.OnForbidden(right)
		tell = before == nil
	}
	if tell {
		s.w.log.Warn("Workloads can't be watched; what is known of them is kept, and Services are recognised without the rest",
			zap.String("resource", s.resource.name), zap.Error(err))
	}
}

func (s *scope) setProblem(err error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.problem = err
}

func (s *scope) worked(verb string) {
	if s.failures.Works(verb) {
		s.setProblem(nil)
		s.w.log.Info("Workloads can be watched again", zap.String("resource", s.resource.name), zap.String("namespace", s.namespace))
	}
}

// listWatch implements cache.ListerWatcherWithContext for the Reflector.
type listWatch struct{ *scope }

// IsWatchListSemanticsUnSupported makes the Reflector list before it watches, page by page.
// Otherwise all objects would be in memory at once.
func (l listWatch) IsWatchListSemanticsUnSupported() bool { return true }

func (l listWatch) List(o metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), o)
}

func (l listWatch) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), o)
}

// ListWithContext reads one page.
func (l listWatch) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	l.inCall.Lock()
	defer l.inCall.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Always ask for the latest state, in pages. See kubernetes.scope.
	o.ResourceVersion, o.ResourceVersionMatch = "", ""
	if o.Continue == "" {
		l.read = nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.w.opts.ListTimeout)
	defer cancel()
	page, found, err := l.resource.list(ctx, l.w.opts.Client, l.namespace, o)
	if err != nil {
		return nil, err
	}
	l.read = append(l.read, found...)
	return page, nil
}

func (l listWatch) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := l.resource.watch(ctx, l.w.opts.Client, l.namespace, o)
	if err == nil {
		l.worked(cluster.VerbWatch)
	}
	return w, err
}

// store receives what the Reflector finds. Its methods are called one at a time.
type store struct{ *scope }

func (s store) Add(obj any) error { return s.Update(obj) }
func (s store) Resync() error     { return nil }

func (s store) Update(obj any) error {
	if w, kept := s.resource.workload(obj); kept != nil {
		s.w.opts.Sink.SetWorkload(kept)
	} else {
		s.w.opts.Sink.DeleteWorkload(w)
	}
	return nil
}

func (s store) Delete(obj any) error {
	w, _ := s.resource.workload(obj)
	s.w.opts.Sink.DeleteWorkload(w)
	return nil
}

// Replace is called at the end of a list. It ignores its arguments, since the pages have
// been read already.
func (s store) Replace([]any, string) error {
	s.inCall.Lock()
	found := s.read
	s.read = nil
	s.inCall.Unlock()
	s.listed = true
	s.worked(cluster.VerbList)
	s.w.opts.Sink.ReplaceWorkloads(s.resource.kind, s.namespace, found)
	s.once.Do(s.w.left.Done)
	return nil
}
