// Package catalogue keeps the state of the service: which back ends were discovered, how
// healthy they are, and what an administrator's overrides say.
//
// Changes come from the cluster (Replace, Begin, Upsert, Delete), from the health checks
// (SetHealth) and from the ConfigMap (SetOverrides). They only change maps, under a lock,
// and mark what a snapshot must show. [Catalogue.Run] waits for more of them for some
// milliseconds (build.go), has the next snapshot built, and swaps it in. Lookups call
// [Catalogue.Snapshot], which is one atomic load.
package catalogue

import (
	"context"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/internal/parallel"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// A Catalogue makes snapshots of what happens in the cluster. Its methods may be called by
// any goroutine. Those that change it return at once; Run builds the snapshots.
type Catalogue struct {
	identify service.Identify
	prober   service.Prober
	asking   Asking
	current  atomic.Pointer[snapshot.Snapshot]
	first    chan struct{} // closed when there is a snapshot
	wake     chan struct{} // holds a token when there is an urgent change

	mu      sync.Mutex // held for map accesses only, never while rendering
	records map[service.Key]*record
	// candidates are Services that are not listed before they have said what they are.
	candidates map[service.Key]*candidate
	dirty      map[service.Key]struct{} // what the next snapshot must render again, or no longer has
	minor      map[service.Key]bool     // what has only a minor change to show: see minorDelay
	overrides  *overrides.Set
	synced     bool
	discovery  time.Time

	building sync.Mutex // held while a snapshot is built; guards what follows
	builder  *snapshot.Builder
	version  string      // of the ConfigMap
	swept    service.Key // the last toolset of the part that sweep has shown
}

// A record is what the catalogue knows of one back end.
type record struct {
	found    *service.Backend // before overrides; nil if they added it
	applied  *service.Backend // after overrides, but before what it answers
	question service.Question // what it is asked; no URLs if nothing
	snapshot.State
}

// New returns a catalogue. It has no snapshot before the first Replace. Without a prober,
// which may be nil, no back end is ever healthy.
func New(identify service.Identify, prober service.Prober) *Catalogue {
	return &Catalogue{
		identify: identify,
		prober:   prober,
		first:    make(chan struct{}),
		wake:     make(chan struct{}, 1),
		records:  map[service.Key]*record{}, candidates: map[service.Key]*candidate{},
		dirty:   map[service.Key]struct{}{},
		minor:   map[service.Key]bool{},
		builder: snapshot.NewBuilder(),
	}
}

// Snapshot returns the current snapshot; nil if there is none yet.
func (c *Catalogue) Snapshot() *snapshot.Snapshot { return c.current.Load() }

// Snapshots yields the current snapshot, as soon as there is one, and then each newer one,
// until ctx ends. If several are made while the loop's body runs, it yields only the last.
func (c *Catalogue) Snapshots(ctx context.Context) iter.Seq[*snapshot.Snapshot] {
	return func(yield func(*snapshot.Snapshot) bool) {
		for next := (<-chan struct{})(c.first); ; {
			select {
			case <-next:
			case <-ctx.Done():
				return
			}
			snap := c.Snapshot()
			if !yield(snap) {
				return
			}
			next = snap.Superseded()
		}
	}
}

// Documents returns the documents of the current snapshot; nil if there is none yet.
func (c *Catalogue) Documents(o snapshot.DocumentOptions) []service.Document {
	if snap := c.Snapshot(); snap != nil {
		return snap.Documents(o)
	}
	return nil
}

func keyOf(svc *corev1.Service) service.Key {
	ns := svc.Namespace
	if ns == "" {
		ns = corev1.NamespaceDefault
	}
	return service.Key{Namespace: ns, Name: svc.Name}
}

// Replace makes services the whole state of the cluster: others are gone, and those that
// were known keep their health.
func (c *Catalogue) Replace(services []*corev1.Service) {
	r := c.Begin("")
	r.Add(services)
	r.Commit()
}

type replacement struct {
	c          *Catalogue
	namespaces map[string]bool // "" for all
	found      map[service.Key]*service.Backend
}

// Begin begins a new state of a namespace, or with an empty name of the whole cluster.
func (c *Catalogue) Begin(namespace string) service.Replacement {
	return &replacement{c, map[string]bool{namespace: true}, map[service.Key]*service.Backend{}}
}

func (r *replacement) Add(services []*corev1.Service) {
	backends := make([]*service.Backend, len(services))
	parallel.For(len(services), func(i int) { backends[i] = r.c.identify(services[i]) })
	for i, b := range backends {
		if key := keyOf(services[i]); b != nil {
			r.found[key] = b
		} else {
			delete(r.found, key)
		}
	}
}

func (r *replacement) Remove(namespace, name string) {
	delete(r.found, service.Key{Namespace: namespace, Name: name})
}

func (r *replacement) Join(other service.Replacement) {
	o := other.(*replacement)
	maps.Copy(r.namespaces, o.namespaces)
	maps.Copy(r.found, o.found)
}

func (r *replacement) Commit() {
	c := r.c
	c.mu.Lock()
	gone := func(k service.Key) bool {
		return r.found[k] == nil && (r.namespaces[""] || r.namespaces[k.Namespace])
	}
	for k, known := range c.records {
		if known.found != nil && gone(k) {
			c.remove(k)
		}
	}
	for k := range c.candidates {
		if gone(k) {
			c.remove(k)
		}
	}
	for k, b := range r.found {
		c.set(k, b)
	}
	if !c.synced {
		c.synced = true
		c.add()
	}
	c.discovery = time.Now()
	c.mu.Unlock()
	c.touch()
}

// Upsert adds a Service or changes it.
func (c *Catalogue) Upsert(svc *corev1.Service) {
	key, b := keyOf(svc), c.identify(svc)
	c.mu.Lock()
	var changed bool
	if b == nil {
		changed = c.remove(key)
	} else {
		changed = c.set(key, b)
	}
	if changed {
		c.discovery = time.Now()
	}
	c.mu.Unlock()
	if changed {
		c.touch()
	}
}

// Delete removes a Service.
func (c *Catalogue) Delete(namespace, name string) {
	c.mu.Lock()
	changed := c.remove(service.Key{Namespace: namespace, Name: name})
	if changed {
		c.discovery = time.Now()
	}
	c.mu.Unlock()
	if changed {
		c.touch()
	}
}

// set and remove change the record of one Service, and report whether anything is
// different. c.mu is held.
func (c *Catalogue) set(key service.Key, found *service.Backend) bool {
	if found.Candidate != nil {
		return c.consider(key, found.Candidate)
	}
	if c.candidates[key] != nil { // it says more now
		delete(c.candidates, key)
		c.asking.Identifier.Remove(key)
		if r := c.records[key]; r != nil {
			r.Identity = service.Identity{} // it answered another question
		}
	} else if r := c.records[key]; r != nil && r.found.Equal(found) {
		return false
	}
	return c.show(key, found, c.overrides.Apply(found))
}

func (c *Catalogue) remove(key service.Key) bool {
	if c.candidates[key] != nil {
		delete(c.candidates, key)
		c.asking.Identifier.Remove(key)
	}
	return c.unlist(key)
}

// unlist removes the record of one Service, which may still be a candidate.
func (c *Catalogue) unlist(key service.Key) bool {
	r := c.records[key]
	if r == nil {
		return false
	}
	if len(r.question.URLs) > 0 {
		c.asking.Identifier.Remove(key)
	}
	delete(c.records, key)
	delete(c.minor, key)
	c.dirty[key] = struct{}{}
	if c.prober != nil {
		c.prober.Remove(key)
	}
	return true
}

// show makes applied, with what it has answered, the back end that is shown for key, and
// reports whether that is a change. found is the back end before overrides, or nil if they
// added it. c.mu is held.
func (c *Catalogue) show(key service.Key, found, applied *service.Backend) bool {
	r := c.records[key]
	known := r != nil
	if !known {
		r = &record{State: snapshot.State{Added: found == nil, Discovered: time.Now()}}
		c.records[key] = r
	}
	r.applied = applied
	asked := c.question(key, r)
	b := c.correct(r)
	switch {
	case !known:
	case !asked && r.Backend.Equal(b):
		r.found = found
		return false
	case !r.Backend.Probe.Equal(b.Probe):
		r.Health = service.Health{}
	}
	r.found, r.Backend = found, b
	c.dirty[key] = struct{}{}
	delete(c.minor, key)
	if c.prober != nil {
		c.prober.Set(key, b.Probe)
	}
	return true
}

// SetHealth records a finished health check. A change between healthy and unhealthy is
// visible at once; a check that only confirms the last one, within seconds.
func (c *Catalogue) SetHealth(key service.Key, h service.Health) {
	c.mu.Lock()
	r := c.records[key]
	if r == nil {
		c.mu.Unlock()
		return
	}
	urgent := r.Health.Healthy != h.Healthy || r.Health.CheckedAt.IsZero()
	if h.Healthy && !r.Health.Healthy && !r.Health.CheckedAt.IsZero() && c.asking.Identifier != nil {
		c.asking.Identifier.Recovered(key)
	}
	r.Health = h
	if _, waits := c.dirty[key]; urgent {
		c.dirty[key] = struct{}{}
		delete(c.minor, key)
	} else if !waits {
		c.minor[key] = true
	}
	c.mu.Unlock()
	if urgent {
		c.touch()
	}
}

// Unchecked returns the number of back ends whose health has not been checked yet.
func (c *Catalogue) Unchecked() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.records {
		if r.Health.CheckedAt.IsZero() {
			n++
		}
	}
	return n
}

// SetConfigMapVersion sets the resourceVersion of the written ConfigMap, with which the
// lists end as soon as it returns. It closes no Superseded channel: nothing has changed for
// watchers, and the writer of the ConfigMap would write again.
func (c *Catalogue) SetConfigMapVersion(v string) {
	c.building.Lock()
	defer c.building.Unlock()
	c.version = v
	if s := c.current.Load(); s != nil && s.ConfigMapVersion != v {
		c.current.Store(s.WithConfigMapVersion(v))
	}
}

// TypeOf returns the type of the back end found in a Service; "unknown" if there is none.
func (c *Catalogue) TypeOf(key service.Key) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.records[key]; r != nil {
		return r.Backend.Type
	}
	return "unknown"
}
