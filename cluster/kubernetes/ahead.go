package kubernetes

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// An ahead is a list that is made while the watch goes on. When it is complete, the
// Reflector starts again and gets it as its list. So changes are seen during a resync,
// which takes seconds in a large cluster, and a list that fails costs nothing but another
// attempt.
type ahead struct {
	cancel  context.CancelFunc
	done    chan struct{}       // closed when the list is complete or was given up
	waiting []chan<- error      // callers that wait for it; guarded by scope.mu
	read    service.Replacement // what the list has found; nil if it was given up
	version string              // the resourceVersion of read
}

// startOver starts a list if one is wanted and there is a watch. s.mu must be held.
func (s *scope) startOver() {
	if !s.wanted() || s.stop == nil || s.listing || s.ahead != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	a := &ahead{cancel: cancel, done: make(chan struct{})}
	s.ahead = a
	s.k.fan.record(s.index)
	s.aheads.Go(func() {
		defer close(a.done)
		defer cancel()
		s.listAhead(ctx, a)
	})
}

// listAhead lists until that succeeds, or ctx ends.
func (s *scope) listAhead(ctx context.Context, a *ahead) {
	backoff := retry.Backoff()
	for {
		s.mu.Lock()
		s.moveWaiting(&a.waiting)
		s.mu.Unlock()
		var read service.Replacement
		p := pager.New(pager.SimplePageFunc(func(o metav1.ListOptions) (runtime.Object, error) {
			return s.page(ctx, o, &read)
		}))
		p.PageSize = s.k.opts.PageSize
		list, _, err := p.List(ctx, metav1.ListOptions{})
		if err == nil {
			s.mu.Lock()
			a.read, a.version = read, list.(metav1.ListInterface).GetResourceVersion()
			if s.stop != nil && !s.listing {
				s.stop()
			}
			s.poke() // the watch may have ended by itself
			s.mu.Unlock()
			return
		}
		if ctx.Err() != nil {
			return
		}
		err = s.failed(cluster.VerbList, err)
		s.mu.Lock()
		s.release(&a.waiting, err)
		s.mu.Unlock()
		if !retry.Sleep(ctx, backoff.Step()) {
			return
		}
	}
}

// take is called when the Reflector begins a list. It ends the list that was made ahead,
// if there is one, and returns it if it is complete.
func (s *scope) take() (*corev1.ServiceList, service.Replacement) {
	s.mu.Lock()
	a := s.ahead
	s.mu.Unlock()
	if a == nil {
		return nil, nil
	}
	a.cancel()
	<-a.done
	s.mu.Lock()
	s.ahead = nil
	s.active = append(s.active, a.waiting...)
	s.unpoke()
	s.mu.Unlock()
	newer := s.k.fan.recorded(s.index)
	if a.read == nil {
		return nil, nil
	}
	newer.addTo(a.read, a.version)
	return &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: a.version}}, a.read
}
