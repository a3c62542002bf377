package workloads

import (
	"context"
	"sync"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/listwatch"
	"kubernaut.io/dynamic-toolset/service"
)

// A scope lists and watches one resource in one namespace, or in all.
type scope struct {
	w         *Watcher
	resource  resource
	namespace string
	reflector *listwatch.Reflector
	once      sync.Once // for Watcher.left

	read []*service.Workload // what the current list has found; used by the Reflector

	problem error // guarded by Watcher.mu; nil if all is well

	failures cluster.FailureLog // used by the goroutine of run
}

func newScope(w *Watcher, r resource, namespace string) *scope {
	s := &scope{w: w, resource: r, namespace: namespace}
	s.reflector = listwatch.New(listwatch.Options{
		Name: r.name, Example: r.example, Log: w.log, PageSize: w.opts.PageSize,
		List: s.page,
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return r.watch(ctx, w.opts.Client, namespace, o)
		},
		Worked: s.worked, Listed: s.listed, Changed: s.changed, Deleted: s.deleted,
	})
	return s
}

func (s *scope) run(ctx context.Context) {
	s.reflector.Run(ctx, s.failed, func() bool { return s.failures.Right != nil })
	s.once.Do(s.w.left.Done)
}

// failed notes a failure, and logs it if it is new. A right that is missing is logged once,
// since all works without it; other failures again after a while.
func (s *scope) failed(verb string, err error) {
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
	s.once.Do(s.w.left.Done)
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

// page reads one page of a list, and returns it without its items, which have been read.
func (s *scope) page(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if o.Continue == "" {
		s.read = nil
	}
	return listwatch.Page(ctx, s.w.opts.ListTimeout, o, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		page, found, err := s.resource.list(ctx, s.w.opts.Client, s.namespace, o)
		s.read = append(s.read, found...)
		return page, err
	})
}

// listed passes on what the pages had.
func (s *scope) listed([]any, string) {
	s.w.opts.Sink.ReplaceWorkloads(s.resource.kind, s.namespace, s.read)
	s.read = nil
	s.once.Do(s.w.left.Done)
}

func (s *scope) changed(object any) {
	if w, kept := s.resource.workload(object); kept != nil {
		s.w.opts.Sink.SetWorkload(kept)
	} else {
		s.w.opts.Sink.DeleteWorkload(w)
	}
}

func (s *scope) deleted(object any) {
	w, _ := s.resource.workload(object)
	s.w.opts.Sink.DeleteWorkload(w)
}
