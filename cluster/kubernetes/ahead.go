package kubernetes

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// An ahead is a list that is made while the watch goes on. When it is done the Reflector
// starts over, and is given it as its list: so changes are seen while a resync lists, which
// takes seconds in a large cluster, and a list that fails costs nothing but its repetition.
type ahead struct {
	cancel  context.CancelFunc
	done    chan struct{}       // closed when the list is there, or was given up
	waiting []chan<- error      // who waits for it; scope.mu
	read    service.Replacement // what it has found; nil if it was given up
	version string              // the resource version of that
}

// startOver makes a list begin, if one is wanted and a watch is under way. s.mu is held.
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

// listAhead lists until it works, or ctx ends.
func (s *scope) listAhead(ctx context.Context, a *ahead) {
	backoff := retry.Backoff()
	for {
		s.mu.Lock()
		a.waiting = append(a.waiting, s.pending...)
		s.pending, s.again = nil, false
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
			s.poke() // or it ended by itself
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

// take ends the list that was made ahead, if there is one, for a list of the Reflector that
// begins. It returns that if it is done.
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
	s.mu.Unlock()
	newer := s.k.fan.recorded(s.index)
	if a.read == nil {
		return nil, nil
	}
	newer.addTo(a.read, a.version)
	return &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: a.version}}, a.read
}
