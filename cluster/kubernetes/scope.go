package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/listwatch"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// A scope lists and watches the Services of one namespace, or of all (package listwatch). It
// decides when that starts again, and makes the list for it while the watch goes on (see
// ahead).
type scope struct {
	k         *Source
	index     int
	namespace string
	reflector *listwatch.Reflector
	wake      chan struct{}       // ends a pause between two runs
	read      service.Replacement // what the current list has found; used by the Reflector's goroutine

	mu                          sync.Mutex
	stop                        context.CancelFunc // ends the current watch; nil if there is none
	listing                     bool               // there is no watch yet: stop would leave the list behind
	again                       bool               // list again after the current list
	pending                     []chan<- error     // callers that wait for a list that has not begun
	active                      []chan<- error     // callers that wait for the current list
	ahead                       *ahead             // a list beside the watch, until its result is used; nil if there is none
	ended                       bool
	listFailures, watchFailures cluster.FailureLog // apart, since a list may be made beside the watch

	ctx    context.Context // the context of run
	aheads sync.WaitGroup
}

func newScope(k *Source, index int, namespace string) *scope {
	s := &scope{k: k, index: index, namespace: namespace, wake: make(chan struct{}, 1)}
	s.reflector = listwatch.New(listwatch.Options{
		Name: "services", Example: &corev1.Service{}, Log: k.log, PageSize: k.opts.PageSize,
		List: s.list, Watch: s.watch, Worked: s.worked, Listed: s.listed,
		Changed: func(object any) {
			svc := cluster.Strip(object.(*corev1.Service))
			k.fan.upsert(index, &svc)
		},
		Deleted: func(object any) { k.fan.delete(index, object.(*corev1.Service)) },
	})
	return s
}

func (s *scope) call(verb string) cluster.Call {
	return cluster.Call{Verbs: verb, Resource: "services", Namespace: s.namespace, Host: s.k.host}
}

// run lists and watches until ctx ends.
func (s *scope) run(ctx context.Context) {
	logged := klog.NewContext(ctx, cluster.Logr(s.k.log))
	s.ctx = logged
	backoff := retry.Backoff()
	for ctx.Err() == nil {
		runCtx, cancel := context.WithCancel(logged)
		s.begin(cancel)
		start := time.Now()
		err := s.reflector.Once(runCtx)
		if runCtx.Err() != nil {
			err = nil // restart has ended it, perhaps while the watch began
		}
		cancel()
		if s.finish(err) {
			continue
		}
		if err == nil && time.Since(start) > 10*time.Second {
			backoff = retry.Backoff() // the watch has worked before
		}
		pause, p := backoff.Step(), s.problem()
		if p.Denied(cluster.VerbWatch) != nil {
			pause = retry.Jitter(retry.Denied, 0.1) // each attempt costs a whole list
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-s.wake:
		case <-ctx.Done():
		}
		t.Stop()
	}
	s.aheads.Wait()
	s.reflector.Wait()
	s.mu.Lock()
	s.ended = true
	s.release(&s.active, cluster.ErrNotRunning)
	s.release(&s.pending, cluster.ErrNotRunning)
	if s.ahead != nil {
		s.release(&s.ahead.waiting, cluster.ErrNotRunning)
	}
	s.mu.Unlock()
}

func (s *scope) begin(cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop, s.listing = cancel, true
}

// finish notes the end of a list and watch, and reports whether the next one should begin
// at once.
func (s *scope) finish(err error) bool {
	if _, told := errors.AsType[*cluster.Error](err); err != nil && !told {
		s.mu.Lock()
		verb := cluster.VerbWatch
		if s.listing {
			verb = cluster.VerbList
		}
		s.mu.Unlock()
		err = s.failed(verb, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop, s.listing = nil, false
	if err != nil {
		s.release(&s.active, err)
	} else {
		s.release(&s.active, cluster.ErrNotRunning)
	}
	return s.wanted() || s.ahead != nil && s.ahead.read != nil
}

// release answers the callers in waiting. s.mu must be held; their channels have room.
func (s *scope) release(waiting *[]chan<- error, err error) {
	for _, w := range *waiting {
		w <- err
	}
	*waiting = nil
}

// moveWaiting adds the callers that wait for a list to those of the list that begins now.
// s.mu must be held.
func (s *scope) moveWaiting(waiting *[]chan<- error) {
	*waiting = append(*waiting, s.pending...)
	s.pending, s.again = nil, false
}

func (s *scope) wanted() bool { return s.again || len(s.pending) > 0 }

// relist makes a new list begin now, or after the current one. Its result is sent to
// done, if that is not nil; done must have room.
func (s *scope) relist(done chan<- error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || !s.k.running.Load():
		if done != nil {
			done <- cluster.ErrNotRunning
		}
		return
	case done != nil:
		s.pending = append(s.pending, done)
	default:
		s.again = true
	}
	s.startOver()
	s.poke()
}

// restart ends the watch, which may be dead, and lists again.
func (s *scope) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = true
	if s.stop != nil && !s.listing {
		s.stop()
	}
	s.poke()
}

// lists reports whether a list is under way.
func (s *scope) lists() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listing || s.ahead != nil
}

// poke ends the pause between two attempts.
func (s *scope) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// unpoke takes a poke back when a list begins: it may have been for this list, and would
// cause one more if it stayed. s.mu must be held, so that it is not one for a later list.
func (s *scope) unpoke() {
	select {
	case <-s.wake:
	default:
	}
}

// failed notes a failed call, and logs it if it is new or once in a while.
func (s *scope) failed(verb string, err error) error {
	err = s.call(verb).Explain(err)
	s.mu.Lock()
	log := s.failures(verb)
	tell, right := log.Note(verb, err), log.Right
	s.mu.Unlock()
	if right != nil {
		s.k.opts.OnForbidden(right)
	}
	if tell {
		s.tell(verb, right, err)
	}
	s.k.checker.doubt()
	return err
}

func (s *scope) tell(verb string, right *cluster.MissingRight, err error) {
	level, text := zap.WarnLevel, "Watching Services failed; the last known state is kept, and it is tried again"
	if right != nil {
		level = zap.ErrorLevel // it does not pass by itself
		if verb == cluster.VerbWatch {
			text = fmt.Sprintf("Services cannot be watched; until they can, they are listed every %s", retry.Denied)
		}
	}
	s.k.log.Log(level, text, zap.Error(err))
}

func (s *scope) worked(verb string) {
	s.mu.Lock()
	over := s.failures(verb).Works(verb) && s.listFailures.Text == "" && s.watchFailures.Text == ""
	s.mu.Unlock()
	if over {
		s.k.log.Info("Watching Services works again", zap.String("namespace", s.namespace))
	}
}

// failures returns the failures of verb. s.mu must be held.
func (s *scope) failures(verb string) *cluster.FailureLog {
	if verb == cluster.VerbList {
		return &s.listFailures
	}
	return &s.watchFailures
}

// problem returns a copy of what is wrong. Nothing can be watched that cannot be listed,
// so a list that fails comes first.
func (s *scope) problem() cluster.FailureLog {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listFailures.Text != "" {
		return s.listFailures
	}
	return s.watchFailures
}

// list reads one page for the Reflector. A list that was made ahead has one.
func (s *scope) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if o.Continue == "" {
		if list, read := s.take(); list != nil {
			s.read = read
			return list, nil
		}
		s.mu.Lock()
		s.moveWaiting(&s.active)
		s.unpoke()
		s.mu.Unlock()
	}
	return s.page(ctx, o, &s.read)
}

// page reads one page of a list into read, which the first of them sets.
func (s *scope) page(ctx context.Context, o metav1.ListOptions, read *service.Replacement) (*corev1.ServiceList, error) {
	page, err := listwatch.Page(ctx, s.k.opts.ListTimeout, o, s.k.client.CoreV1().Services(s.namespace).List)
	if err != nil {
		return nil, err
	}
	if o.Continue == "" {
		*read = s.k.opts.Sink.Begin(s.namespace)
	}
	services := make([]*corev1.Service, len(page.Items))
	for i := range page.Items {
		page.Items[i] = cluster.Strip(&page.Items[i])
		services[i] = &page.Items[i]
	}
	(*read).Add(services)
	// Callers collect the Services of all pages, but do not need them.
	page.Items = nil
	return page, nil
}

func (s *scope) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := s.k.client.CoreV1().Services(s.namespace).Watch(ctx, o)
	if err != nil && ctx.Err() == nil {
		err = s.failed(cluster.VerbWatch, err)
	}
	return w, err
}

// listed is called at the end of a list, whose pages have been handled already.
func (s *scope) listed([]any, string) {
	s.k.fan.replace(s.index, s.read)
	s.read = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listing = false
	s.release(&s.active, nil)
	s.startOver()
}
