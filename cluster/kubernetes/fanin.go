package kubernetes

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// A fanIn passes the Services of several namespaces to one Sink, one call at a time. It
// keeps the first lists until it has one of each namespace, since half of the state would
// look like all of it. After that it keeps only what comes in while a list is made ahead.
type fanIn struct {
	first chan struct{} // closed when the Sink has had the whole state

	mu      sync.Mutex
	sink    cluster.Sink
	waiting []service.Replacement // the first states, each nil until listed; nil once the Sink has them
	records []events              // by namespace: what comes in while a list is made ahead; nil if none is made
}

// events has the last event of each Service.
type events map[service.Key]event

type event struct {
	service *corev1.Service
	deleted bool
}

// addTo adds those events to a state that are later than version. The next watch reports
// all of them again, but until then what was visible would be missing.
func (e events) addTo(state service.Replacement, version string) {
	for key, last := range e {
		if order, err := resourceversion.CompareResourceVersion(last.service.ResourceVersion, version); err != nil || order <= 0 {
			continue
		}
		if last.deleted {
			state.Remove(key.Namespace, key.Name)
		} else {
			state.Add([]*corev1.Service{last.service})
		}
	}
}

func newFanIn(sink cluster.Sink, parts int) *fanIn {
	return &fanIn{first: make(chan struct{}), sink: sink, waiting: make([]service.Replacement, parts), records: make([]events, parts)}
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
	f.note(part, event{svc, false})
	if f.waiting == nil {
		f.sink.Upsert(svc)
	} else {
		f.waiting[part].Add([]*corev1.Service{svc})
	}
}

func (f *fanIn) delete(part int, svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(part, event{svc, true})
	if f.waiting == nil {
		f.sink.Delete(svc.Namespace, svc.Name)
	} else {
		f.waiting[part].Remove(svc.Namespace, svc.Name)
	}
}

// record starts to keep what comes in from a namespace, until recorded is called.
func (f *fanIn) record(part int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[part] = events{}
}

func (f *fanIn) recorded(part int) events {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.records[part]
	f.records[part] = nil
	return e
}

func (f *fanIn) note(part int, e event) {
	if r := f.records[part]; r != nil {
		r[service.Key{Namespace: e.service.Namespace, Name: e.service.Name}] = e
	}
}
