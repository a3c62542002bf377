package clustertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A Sink is a cluster.Sink that keeps the Services, as the catalogue does, and counts
// calls.
type Sink struct {
	mu       sync.Mutex
	state    map[types.NamespacedName]*corev1.Service
	replaces int
	upserts  int
	deletes  int
	inCall   bool
	overlaps int
}

// NewSink returns an empty Sink.
func NewSink() *Sink {
	return &Sink{state: map[types.NamespacedName]*corev1.Service{}}
}

func (s *Sink) call(f func()) {
	s.mu.Lock()
	if s.inCall {
		s.overlaps++
	}
	s.inCall = true
	s.mu.Unlock()
	s.mu.Lock() // between the two, an overlapping call would be seen
	defer s.mu.Unlock()
	f()
	s.inCall = false
}

// Replace implements cluster.Sink.
func (s *Sink) Replace(services []*corev1.Service) {
	s.call(func() {
		s.replaces++
		clear(s.state)
		for _, svc := range services {
			s.state[key(svc)] = svc
		}
	})
}

// Begin implements cluster.Sink.
func (s *Sink) Begin(namespace string) service.Replacement {
	return &replacement{s, map[string]bool{namespace: true}, map[types.NamespacedName]*corev1.Service{}}
}

type replacement struct {
	sink       *Sink
	namespaces map[string]bool
	state      map[types.NamespacedName]*corev1.Service
}

func (p *replacement) Add(services []*corev1.Service) {
	for _, svc := range services {
		p.state[key(svc)] = svc
	}
}

func (p *replacement) Remove(namespace, name string) {
	delete(p.state, types.NamespacedName{Namespace: namespace, Name: name})
}

func (p *replacement) Join(other service.Replacement) {
	maps.Copy(p.namespaces, other.(*replacement).namespaces)
	maps.Copy(p.state, other.(*replacement).state)
}

func (p *replacement) Commit() {
	p.sink.call(func() {
		p.sink.replaces++
		maps.DeleteFunc(p.sink.state, func(k types.NamespacedName, _ *corev1.Service) bool {
			return p.namespaces[""] || p.namespaces[k.Namespace]
		})
		maps.Copy(p.sink.state, p.state)
	})
}

// Upsert implements cluster.Sink.
func (s *Sink) Upsert(svc *corev1.Service) {
	s.call(func() { s.upserts++; s.state[key(svc)] = svc })
}

// Delete implements cluster.Sink.
func (s *Sink) Delete(namespace, name string) {
	s.call(func() { s.deletes++; delete(s.state, types.NamespacedName{Namespace: namespace, Name: name}) })
}

// Names returns the names of all Services, in the form "ns/name ns/name".
func (s *Sink) Names() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for k := range maps.Keys(s.state) {
		all = append(all, k.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Get returns a Service; nil if there is none.
func (s *Sink) Get(ns, name string) *corev1.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state[types.NamespacedName{Namespace: ns, Name: name}]
}

// Counts returns how often each method was called.
func (s *Sink) Counts() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d replaces, %d upserts, %d deletes, %d overlaps", s.replaces, s.upserts, s.deletes, s.overlaps)
}

// WantNames waits until there are exactly these Services.
func (s *Sink) WantNames(t *testing.T, within time.Duration, want string) time.Duration {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("have %q, want %q (%s)", s.Names(), want, s.Counts())
		}
	}()
	return testenv.Eventually(t, within, "the Services are "+want, func() bool { return s.Names() == want })
}

// Lists returns how often the whole state was replaced. That happens also when a watch
// begins again, at any time.
func (s *Sink) Lists() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replaces
}

// Deletes returns how often Delete was called.
func (s *Sink) Deletes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deletes
}

// Len returns the number of Services.
func (s *Sink) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.state)
}

// Overlaps returns how many calls came during another call.
func (s *Sink) Overlaps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlaps
}

func key(svc *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}
}
