package kubernetes

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// A fanIn hands what several namespaces have to one Sink, one call at a time. It
// withholds the first states until there is one of each namespace: half a state
// would look whole. Nothing is remembered after that.
type fanIn struct {
	first chan struct{} // closed when the Sink has had the whole state

	mu      sync.Mutex
	sink    cluster.Sink
	waiting []service.Replacement // the first states, each nil until listed; nil once the Sink has them
}

func newFanIn(sink cluster.Sink, parts int) *fanIn {
	return &fanIn{first: make(chan struct{}), sink: sink, waiting: make([]service.Replacement, parts)}
}

func (f *fanIn) replace(part int, state service.Replacement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		state.Commit()
		return
	}
	f.waiting[part] = state
	if slices.Contains(f.waiting, nil) {
		return
	}
	whole := f.waiting[0]
	for _, other := range f.waiting[1:] {
		whole.Join(other)
	}
	whole.Commit()
	f.waiting = nil
	close(f.first)
}

func (f *fanIn) upsert(part int, svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.sink.Upsert(svc)
	} else {
		f.waiting[part].Add([]*corev1.Service{svc})
	}
}

func (f *fanIn) delete(part int, svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil {
		f.sink.Delete(svc.Namespace, svc.Name)
	} else {
		f.waiting[part].Remove(svc.Namespace, svc.Name)
	}
}
