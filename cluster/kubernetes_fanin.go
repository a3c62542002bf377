package cluster

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// A fanIn makes one state, for one Sink, of those of several namespaces. With a
// single part, nothing needs to be remembered, and nothing is.
type fanIn struct {
	first chan struct{} // closed when the Sink has had the whole state

	mu    sync.Mutex
	sink  Sink
	parts []map[string]*corev1.Service // by name; nil until listed
}

func newFanIn(sink Sink, parts int) *fanIn {
	return &fanIn{first: make(chan struct{}), sink: sink, parts: make([]map[string]*corev1.Service, parts)}
}

func (f *fanIn) replace(part int, services []*corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parts) > 1 {
		byName := make(map[string]*corev1.Service, len(services))
		for _, svc := range services {
			byName[svc.Name] = svc
		}
		f.parts[part] = byName
		services = services[:0:0]
		for _, p := range f.parts {
			if p == nil {
				return // half a state would look like deletions
			}
			for _, svc := range p {
				services = append(services, svc)
			}
		}
	}
	f.sink.Replace(services)
	if !isClosed(f.first) {
		close(f.first)
	}
}

func (f *fanIn) upsert(part int, svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parts) > 1 {
		f.parts[part][svc.Name] = svc
	}
	if isClosed(f.first) {
		f.sink.Upsert(svc)
	}
}

func (f *fanIn) delete(part int, svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parts) > 1 {
		delete(f.parts[part], svc.Name)
	}
	if isClosed(f.first) {
		f.sink.Delete(svc.Namespace, svc.Name)
	}
}
