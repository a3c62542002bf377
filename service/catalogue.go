package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Identify decides what a Kubernetes Service is; nil means not a back end.
type Identify func(*corev1.Service) *Backend

// A Prober checks the health of the catalogue's backends and reports to
// Catalogue.SetHealth.
type Prober interface {
	// Set adds an endpoint or changes how it is checked.
	Set(key Key, probe Probe, userEndpoint bool)
	// Remove ends the checks of an endpoint.
	Remove(key Key)
}

// How long changes wait for others, so that a burst becomes one snapshot. The
// first change of a burst is in the snapshot whose building begins after at most
// maxDelay. Up to that, building a snapshot is followed by a pause of
// restFactor times as long: it takes at most a quarter of a processor's time
// while it takes less than 8 ms.
const (
	quietDelay = 3 * time.Millisecond
	maxDelay   = 25 * time.Millisecond
	restFactor = 3
	// minorDelay is within how long a change of times alone is shown (the time
	// of the last health check): nobody acts on it. Large clusters are gone
	// through in up to minorParts parts.
	minorDelay = 5 * time.Second
	minorParts = 50
)

// A Catalogue turns what happens in the cluster into Snapshots. Changes come in
// by Replace, Begin, Upsert, Delete, SetHealth and SetOverrides from any
// goroutine and return at once; Run builds the snapshots.
//
// The work that a change causes follows from the change, not from the size of
// the cluster: the toolset is rendered, the chunks of the lists that it is in are
// put together and compressed, and all else is shared with the snapshot before.
type Catalogue struct {
	identify Identify
	prober   Prober
	current  atomic.Pointer[Snapshot]
	first    chan struct{} // closed when there is a snapshot
	wake     chan struct{} // holds a token when there is an urgent change
	instance string

	mu        sync.Mutex // held for map accesses only, never while rendering
	records   map[Key]*record
	dirty     map[Key]struct{} // what the next snapshot must show anew, or without
	minor     map[Key]bool     // what has nothing but another time to show
	overrides *Overrides
	synced    bool
	discovery time.Time

	building sync.Mutex // one snapshot is built at a time; guards what follows
	assembly *assembly
	version  string // of the ConfigMap
	swept    Key    // the last toolset that sweep has dealt with
}

// A record is what the catalogue knows of one backend.
type record struct {
	found *Backend // before overrides; nil if they added it
	state
}

// NewCatalogue returns a catalogue without a snapshot; the first one is there
// after the first Replace. prober may be nil: then nothing is ever healthy.
func NewCatalogue(identify Identify, prober Prober) *Catalogue {
	id := make([]byte, 6)
	rand.Read(id) //nolint:errcheck // never fails (crypto/rand, since Go 1.24)
	return &Catalogue{
		identify: identify,
		prober:   prober,
		first:    make(chan struct{}),
		wake:     make(chan struct{}, 1),
		instance: hex.EncodeToString(id),
		records:  map[Key]*record{},
		dirty:    map[Key]struct{}{},
		minor:    map[Key]bool{},
		assembly: newAssembly(),
	}
}

// Snapshot returns the current snapshot, nil before the first.
func (c *Catalogue) Snapshot() *Snapshot { return c.current.Load() }

// Snapshots yields the current snapshot, as soon as there is one, and then each newer one,
// until ctx ends. Of those that come while the body of the loop is at work, it yields the
// last.
func (c *Catalogue) Snapshots(ctx context.Context) iter.Seq[*Snapshot] {
	return func(yield func(*Snapshot) bool) {
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

// Documents returns the documents of the current snapshot, nil before the first.
func (c *Catalogue) Documents() []GeneratedDocument {
	if snap := c.Snapshot(); snap != nil {
		return snap.Documents()
	}
	return nil
}

func keyOf(svc *corev1.Service) Key {
	ns := svc.Namespace
	if ns == "" {
		ns = corev1.NamespaceDefault
	}
	return Key{ns, svc.Name}
}

// Replace makes services the whole state of the cluster. What was known and is
// not among them is gone; the health of the rest is kept.
func (c *Catalogue) Replace(services []*corev1.Service) {
	r := c.Begin("")
	r.Add(services)
	r.Commit()
}

// A Replacement is a new state of a namespace or of the whole cluster, read
// piece by piece. It has no effect before Commit; one that is not to be may just
// be forgotten. It is used by one goroutine at a time.
type Replacement interface {
	// Add adds Services to the new state, or changes those that are in it.
	// Nothing is kept of those that are no back ends.
	Add(services []*corev1.Service)
	// Remove takes a Service out of the new state, which need not be in it.
	Remove(namespace, name string)
	// Join adds what another Replacement has, of another namespace. That one is
	// not used any longer.
	Join(other Replacement)
	// Commit makes the new state the state. What was known and is not in it is
	// gone; the health of the rest is kept.
	Commit()
}

type replacement struct {
	c          *Catalogue
	namespaces map[string]bool // "" for all
	found      map[Key]*Backend
}

// Begin begins to replace the state of a namespace, or with an empty name that
// of the whole cluster.
func (c *Catalogue) Begin(namespace string) Replacement {
	return &replacement{c, map[string]bool{namespace: true}, map[Key]*Backend{}}
}

func (r *replacement) Add(services []*corev1.Service) {
	backends := make([]*Backend, len(services))
	each(len(services), func(i int) { backends[i] = r.c.identify(services[i]) })
	for i, b := range backends {
		if key := keyOf(services[i]); b != nil {
			r.found[key] = b
		} else {
			delete(r.found, key)
		}
	}
}

func (r *replacement) Remove(namespace, name string) { delete(r.found, Key{namespace, name}) }

func (r *replacement) Join(other Replacement) {
	o := other.(*replacement)
	maps.Copy(r.namespaces, o.namespaces)
	maps.Copy(r.found, o.found)
}

func (r *replacement) Commit() {
	c := r.c
	c.mu.Lock()
	for k, known := range c.records {
		if known.found != nil && r.found[k] == nil && (r.namespaces[""] || r.namespaces[k.Namespace]) {
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

// Upsert adds one Service or changes it.
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

// Delete forgets one Service.
func (c *Catalogue) Delete(namespace, name string) {
	c.mu.Lock()
	changed := c.remove(Key{namespace, name})
	if changed {
		c.discovery = time.Now()
	}
	c.mu.Unlock()
	if changed {
		c.touch()
	}
}

// set and remove change one Service's record and say whether anything is
// different. c.mu is held.
func (c *Catalogue) set(key Key, found *Backend) bool {
	if r := c.records[key]; r != nil && r.found.equal(found) {
		return false
	}
	return c.show(key, found, c.overrides.Apply(found))
}

func (c *Catalogue) remove(key Key) bool {
	if c.records[key] == nil {
		return false
	}
	delete(c.records, key)
	delete(c.minor, key)
	c.dirty[key] = struct{}{}
	if c.prober != nil {
		c.prober.Remove(key)
	}
	return true
}

// show makes b what is shown of a Service in which found was found, or if that
// is nil, of what an administrator added. It says whether that is different.
// c.mu is held.
func (c *Catalogue) show(key Key, found, b *Backend) bool {
	r := c.records[key]
	switch {
	case r == nil:
		r = &record{state: state{added: found == nil, discovered: time.Now()}}
		c.records[key] = r
	case r.backend.equal(b):
		r.found = found
		return false
	case r.backend.Probe.differs(b.Probe):
		r.health = Health{}
	}
	r.found, r.backend = found, b
	c.dirty[key] = struct{}{}
	delete(c.minor, key)
	if c.prober != nil {
		c.prober.Set(key, b.Probe, b.UserEndpoint)
	}
	return true
}

// SetHealth records a finished health check. A new verdict is visible at once;
// the mere time of a check that confirms the last one, within some seconds.
func (c *Catalogue) SetHealth(key Key, h Health) {
	c.mu.Lock()
	r := c.records[key]
	if r == nil {
		c.mu.Unlock()
		return
	}
	urgent := r.health.Healthy != h.Healthy || r.health.CheckedAt.IsZero()
	r.health = h
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

// SetConfigMapVersion shows the resourceVersion of the written ConfigMap: the lists end with
// it when it returns. That is no change of the catalogue, and nobody is told of a newer
// snapshot: the ConfigMap's writer would be, and every watcher, of nothing that is theirs.
func (c *Catalogue) SetConfigMapVersion(v string) {
	c.building.Lock()
	defer c.building.Unlock()
	c.version = v
	if s := c.current.Load(); s != nil && s.ConfigMapVersion != v {
		c.current.Store(s.withVersion(v))
	}
}

func (c *Catalogue) touch() {
	select {
	case c.wake <- struct{}{}:
	default: // a token is there already
	}
}

// Run builds snapshots until ctx ends.
func (c *Catalogue) Run(ctx context.Context) {
	minor := time.NewTimer(minorDelay)
	defer minor.Stop()
	var took time.Duration // by the last snapshot
	for {
		select {
		case <-ctx.Done():
			return
		case <-minor.C:
			minor.Reset(minorDelay / time.Duration(c.sweep()))
		case <-c.wake:
			c.settle(ctx, min(max(quietDelay, restFactor*took), maxDelay))
			begin := time.Now()
			c.building.Lock()
			c.build()
			c.building.Unlock()
			took = time.Since(begin)
		}
	}
}

// settle waits until changes have paused for quiet, but not for long.
func (c *Catalogue) settle(ctx context.Context, quiet time.Duration) {
	deadline := time.NewTimer(maxDelay)
	defer deadline.Stop()
	paused := time.NewTimer(quiet)
	defer paused.Stop()
	for {
		select {
		case <-c.wake:
			paused.Reset(quiet)
		case <-paused.C:
			return
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// TypeOf returns the type of the backend found in a Service, "unknown" if
// there is none.
func (c *Catalogue) TypeOf(key Key) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.records[key]; r != nil {
		return r.backend.Type
	}
	return "unknown"
}
