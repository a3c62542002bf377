package snapshot

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// A state is given Services and has snapshots built of them, like package catalogue, but
// without delays and locks.
type state struct {
	*Builder
	*Snapshot // the last one

	known     map[service.Key]State
	changed   map[service.Key]bool
	discovery time.Time
	version   string
}

// newState returns the state of a cluster with these Services, without a snapshot.
func newState(services ...*corev1.Service) *state {
	s := &state{Builder: NewBuilder(), known: map[service.Key]State{}, changed: map[service.Key]bool{}}
	for _, svc := range services {
		s.Upsert(svc)
	}
	return s
}

func (s *state) set(b *service.Backend, added bool) {
	now, known := s.known[b.Key]
	if !known {
		now = State{Added: added, Discovered: time.Now()}
	}
	now.Backend = b
	s.known[b.Key], s.changed[b.Key] = now, true
}

func (s *state) remove(k service.Key) {
	delete(s.known, k)
	s.changed[k] = true
}

func (s *state) Upsert(svc *corev1.Service) {
	if b := servicetest.Identify(svc); b != nil {
		s.set(b, false)
	} else {
		s.Delete(svc.Namespace, svc.Name)
	}
	s.discovery = time.Now()
}

// Replace makes services the only ones.
func (s *state) Replace(services []*corev1.Service) {
	for k, now := range s.known {
		if !now.Added {
			s.remove(k)
		}
	}
	for _, svc := range services {
		s.Upsert(svc)
	}
}

func (s *state) Delete(namespace, name string) {
	s.remove(service.Key{Namespace: namespace, Name: name})
}

func (s *state) SetHealth(k service.Key, h service.Health) {
	if now, known := s.known[k]; known {
		now.Health = h
		s.known[k], s.changed[k] = now, true
	}
}

func (s *state) SetIdentity(k service.Key, i service.Identity) {
	if now, known := s.known[k]; known {
		now.Identity = i
		s.known[k], s.changed[k] = now, true
	}
}

// Build makes the next snapshot and returns it.
func (s *state) Build() *Snapshot {
	var updates []Update
	for k := range s.changed {
		updates = append(updates, Update{k, s.known[k]})
	}
	clear(s.changed)
	s.Snapshot = s.Next(s.Snapshot, updates, s.discovery, s.version)
	return s.Snapshot
}
