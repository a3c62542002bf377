package workloads

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// A Sink receives Services. See cluster.Sink, which it equals.
type Sink interface {
	Replace(services []*corev1.Service)
	Begin(namespace string) service.Replacement
	Upsert(svc *corev1.Service)
	Delete(namespace, name string)
}

// A Follower passes Services on to a Sink, and passes them on again when their workloads
// have changed. It is a [Sink] itself. Those of its methods that are about workloads may be
// called by other goroutines than those of a Sink; the Sink's are called one at a time all
// the same.
type Follower struct {
	index *Index
	sink  Sink

	mu       sync.Mutex // held while the Sink is called
	services services
	changes  []change // the last ones, at most maxChanges
	changed  int      // number of changes so far
}

// A change is that of a workload's labels, or of what its pods run.
type change struct {
	namespace string
	labels    []map[string]string // before and after
}

// maxChanges bounds how many changes are known to a Replacement that began before them. If
// there were more, it passes on all of its Services again.
const maxChanges = 4096

// passAtOnce is the number of Services that are passed on again before other changes have
// their turn.
const passAtOnce = 200

// Follow returns a Follower that passes Services on to sink. What sink finds out about a
// Service by x is up to date again whenever a method that changes workloads has returned.
func (x *Index) Follow(sink Sink) *Follower { return &Follower{index: x, sink: sink} }

func keyOf(svc *corev1.Service) service.Key {
	return service.Key{Namespace: svc.Namespace, Name: svc.Name}
}

// Replace implements [Sink].
func (f *Follower) Replace(services []*corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services.namespaces = nil
	for _, svc := range services {
		f.services.set(keyOf(svc), keep(svc))
	}
	f.sink.Replace(services)
}

// Upsert implements [Sink].
func (f *Follower) Upsert(svc *corev1.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services.set(keyOf(svc), keep(svc))
	f.sink.Upsert(svc)
}

// Delete implements [Sink].
func (f *Follower) Delete(namespace, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services.set(service.Key{Namespace: namespace, Name: name}, nil)
	f.sink.Delete(namespace, name)
}

// Begin implements [Sink].
func (f *Follower) Begin(namespace string) service.Replacement {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &replacement{f, f.sink.Begin(namespace), f.changed, map[string]bool{namespace: true}, map[service.Key]*kept{}}
}

// A replacement keeps its Services until it replaces those of the Follower.
type replacement struct {
	f          *Follower
	to         service.Replacement
	began      int             // Follower.changed when it began
	namespaces map[string]bool // "" for all
	found      map[service.Key]*kept
}

func (r *replacement) Add(services []*corev1.Service) {
	for _, svc := range services {
		r.found[keyOf(svc)] = keep(svc)
	}
	r.to.Add(services)
}

func (r *replacement) Remove(namespace, name string) {
	delete(r.found, service.Key{Namespace: namespace, Name: name})
	r.to.Remove(namespace, name)
}

func (r *replacement) Join(other service.Replacement) {
	o := other.(*replacement)
	maps.Copy(r.namespaces, o.namespaces)
	maps.Copy(r.found, o.found)
	r.began = min(r.began, o.began)
	r.to.Join(o.to)
}

func (r *replacement) Commit() {
	again := r.commit()
	r.f.passOn(again)
}

// commit makes the new state the current one, and returns the Services whose workloads have
// changed after they were passed on.
func (r *replacement) commit() (again map[service.Key]struct{}) {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.namespaces[""] {
		f.services.namespaces = nil
	}
	for ns := range r.namespaces {
		delete(f.services.namespaces, ns)
	}
	for key, k := range r.found {
		f.services.set(key, k)
	}
	r.to.Commit()
	again = map[service.Key]struct{}{}
	if since := f.changed - r.began; since > len(f.changes) {
		for key, k := range r.found {
			if k != nil {
				again[key] = struct{}{}
			}
		}
	} else {
		for _, c := range f.changes[len(f.changes)-since:] {
			f.concerned(c, again)
		}
	}
	return again
}

// ReplaceWorkloads makes these all workloads of a kind in a namespace; an empty string
// stands for all kinds or namespaces.
func (f *Follower) ReplaceWorkloads(kind, namespace string, workloads []*service.Workload) {
	again := map[service.Key]struct{}{}
	f.mu.Lock()
	gone := map[id]bool{}
	for _, key := range f.index.ids(kind, namespace) {
		gone[key] = true
	}
	for _, w := range workloads {
		delete(gone, idOf(w))
		f.set(w, again)
	}
	for key := range gone {
		f.note(f.index.remove(key), nil, again)
	}
	f.mu.Unlock()
	f.passOn(again)
}

// SetWorkload adds a workload or changes it.
func (f *Follower) SetWorkload(w *service.Workload) {
	again := map[service.Key]struct{}{}
	f.mu.Lock()
	f.set(w, again)
	f.mu.Unlock()
	f.passOn(again)
}

// DeleteWorkload removes a workload; it need not be there.
func (f *Follower) DeleteWorkload(w *service.Workload) {
	again := map[service.Key]struct{}{}
	f.mu.Lock()
	f.note(f.index.remove(idOf(w)), nil, again)
	f.mu.Unlock()
	f.passOn(again)
}

// set changes a workload and adds the Services that this concerns. f.mu is held.
func (f *Follower) set(w *service.Workload, again map[service.Key]struct{}) {
	if before, changed := f.index.set(w); changed {
		f.note(before, w, again)
	}
}

// note notes that a workload was changed, and adds the Services that this concerns. Either
// state may be nil. f.mu is held.
func (f *Follower) note(before, after *service.Workload, again map[service.Key]struct{}) {
	var c change
	for _, w := range [...]*service.Workload{before, after} {
		if w != nil && !(w == after && before != nil && maps.Equal(before.Labels, after.Labels)) {
			c.namespace, c.labels = w.Key.Namespace, append(c.labels, w.Labels)
		}
	}
	if c.labels == nil {
		return
	}
	if f.changed++; len(f.changes) >= 2*maxChanges {
		f.changes = append(f.changes[:0], f.changes[maxChanges:]...)
	}
	f.changes = append(f.changes, c)
	f.concerned(c, again)
}

func (f *Follower) concerned(c change, again map[service.Key]struct{}) {
	for _, labels := range c.labels {
		f.services.selecting(c.namespace, labels, again)
	}
}

// passOn passes Services on again, as they are now.
func (f *Follower) passOn(again map[service.Key]struct{}) {
	if len(again) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for key := range again {
		if k := f.services.get(key); k != nil {
			if svc := k.service(); svc != nil {
				f.sink.Upsert(svc)
			}
		}
		if n++; n%passAtOnce == 0 {
			f.mu.Unlock()
			f.mu.Lock()
		}
	}
}
