package cluster

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

// A recorder is a Sink that keeps the state, as the catalogue does, and counts.
type recorder struct {
	mu       sync.Mutex
	state    map[types.NamespacedName]*corev1.Service
	replaces int
	upserts  int
	deletes  int
	changed  chan struct{} // closed and made anew at each call
	inCall   bool
	overlaps int
}

func newRecorder() *recorder {
	return &recorder{state: map[types.NamespacedName]*corev1.Service{}, changed: make(chan struct{})}
}

func (r *recorder) call(f func()) {
	r.mu.Lock()
	if r.inCall {
		r.overlaps++
	}
	r.inCall = true
	r.mu.Unlock()
	r.mu.Lock() // between the two, an overlapping call would be seen
	defer r.mu.Unlock()
	f()
	r.inCall = false
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Replace(services []*corev1.Service) {
	r.call(func() {
		r.replaces++
		clear(r.state)
		for _, svc := range services {
			r.state[keyOf(svc)] = svc
		}
	})
}

// Begin implements Sink.
func (r *recorder) Begin(namespace string) service.Replacement {
	return &recordedReplacement{r, map[string]bool{namespace: true}, map[types.NamespacedName]*corev1.Service{}}
}

type recordedReplacement struct {
	r          *recorder
	namespaces map[string]bool
	state      map[types.NamespacedName]*corev1.Service
}

func (p *recordedReplacement) Add(services []*corev1.Service) {
	for _, svc := range services {
		p.state[keyOf(svc)] = svc
	}
}

func (p *recordedReplacement) Remove(namespace, name string) {
	delete(p.state, types.NamespacedName{Namespace: namespace, Name: name})
}

func (p *recordedReplacement) Join(other service.Replacement) {
	maps.Copy(p.namespaces, other.(*recordedReplacement).namespaces)
	maps.Copy(p.state, other.(*recordedReplacement).state)
}

func (p *recordedReplacement) Commit() {
	p.r.call(func() {
		p.r.replaces++
		maps.DeleteFunc(p.r.state, func(k types.NamespacedName, _ *corev1.Service) bool {
			return p.namespaces[""] || p.namespaces[k.Namespace]
		})
		maps.Copy(p.r.state, p.state)
	})
}

func (r *recorder) Upsert(svc *corev1.Service) {
	r.call(func() { r.upserts++; r.state[keyOf(svc)] = svc })
}

func (r *recorder) Delete(namespace, name string) {
	r.call(func() { r.deletes++; delete(r.state, types.NamespacedName{Namespace: namespace, Name: name}) })
}

// names returns what is known, as "ns/name ns/name".
func (r *recorder) names() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for k := range maps.Keys(r.state) {
		all = append(all, k.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (r *recorder) get(ns, name string) *corev1.Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state[types.NamespacedName{Namespace: ns, Name: name}]
}

func (r *recorder) counts() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d replaces, %d upserts, %d deletes, %d overlaps", r.replaces, r.upserts, r.deletes, r.overlaps)
}

// eventually waits until ok is true, and returns how long that took; see
// testenv.Eventually.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	return testenv.Eventually(t, within, what, ok)
}

// wantNames waits until exactly these are known.
func (r *recorder) wantNames(t *testing.T, within time.Duration, want string) time.Duration {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("have %q, want %q (%s)", r.names(), want, r.counts())
		}
	}()
	return testenv.Eventually(t, within, "the Services are "+want, func() bool { return r.names() == want })
}

// remains checks that ok stays true for a while.
func remains(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if !ok() {
			t.Fatalf("did not stay so for %v: %s", d, what)
		}
	}
}

// lists returns how often the whole state was handed over. A watch that begins
// anew hands it over as well, at any time.
func (r *recorder) lists() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replaces
}
