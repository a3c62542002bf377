package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
// first change of a burst is visible after at most maxDelay.
const (
	quietDelay = 3 * time.Millisecond
	maxDelay   = 25 * time.Millisecond
	// minorDelay is how long a change of times alone waits (the time of the
	// last health check): nobody acts on it.
	minorDelay = 5 * time.Second
)

// A Catalogue turns what happens in the cluster into Snapshots. Changes come in
// by Replace, Upsert, Delete and SetHealth from any goroutine and return at
// once; Run builds the snapshots.
type Catalogue struct {
	identify Identify
	prober   Prober
	current  atomic.Pointer[Snapshot]
	wake     chan struct{} // holds a token when there is an urgent change
	instance string

	documents documentCache

	mu        sync.Mutex // held for map accesses only, never while rendering
	records   map[Key]*record
	synced    bool
	sorted    []*record // nil when records were added or removed
	minor     bool      // times changed since the last snapshot
	discovery time.Time
	version   string // of the ConfigMap

	building sync.Mutex // one snapshot is built at a time
}

// A record is what the catalogue knows of one backend.
type record struct {
	backend    *Backend
	discovered time.Time
	health     Health
	rendered   *rendered // nil when it must be made anew
}

// NewCatalogue returns a catalogue without a snapshot; the first one is there
// after the first Replace. prober may be nil: then nothing is ever healthy.
func NewCatalogue(identify Identify, prober Prober) *Catalogue {
	id := make([]byte, 6)
	rand.Read(id) //nolint:errcheck // never fails (crypto/rand, since Go 1.24)
	return &Catalogue{
		identify: identify,
		prober:   prober,
		wake:     make(chan struct{}, 1),
		instance: hex.EncodeToString(id),
		records:  map[Key]*record{},
	}
}

// Snapshot returns the current snapshot, nil before the first.
func (c *Catalogue) Snapshot() *Snapshot { return c.current.Load() }

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
	seen := make(map[Key]*Backend, len(services)/8)
	for _, svc := range services {
		if b := c.identify(svc); b != nil {
			seen[keyOf(svc)] = b
		}
	}
	c.mu.Lock()
	for k := range c.records {
		if _, ok := seen[k]; !ok {
			c.remove(k)
		}
	}
	for k, b := range seen {
		c.set(k, b)
	}
	c.synced = true
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

// set and remove change one record and say whether anything is different.
// c.mu is held.
func (c *Catalogue) set(key Key, b *Backend) bool {
	r := c.records[key]
	switch {
	case r == nil:
		c.records[key] = &record{backend: b, discovered: time.Now()}
		c.sorted = nil
	case r.backend.equal(b):
		return false
	default:
		if r.backend.Probe.differs(b.Probe) {
			r.health = Health{}
		}
		r.backend, r.rendered = b, nil
		c.sorted = nil // names may have changed
	}
	if c.prober != nil {
		c.prober.Set(key, b.Probe, b.UserEndpoint)
	}
	return true
}

func (c *Catalogue) remove(key Key) bool {
	if c.records[key] == nil {
		return false
	}
	delete(c.records, key)
	c.sorted = nil
	if c.prober != nil {
		c.prober.Remove(key)
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
	r.health, r.rendered = h, nil
	c.minor = true
	c.mu.Unlock()
	if urgent {
		c.touch()
	}
}

// SetConfigMapVersion records the resourceVersion of the written ConfigMap.
func (c *Catalogue) SetConfigMapVersion(v string) {
	c.mu.Lock()
	changed := c.version != v
	c.version = v
	c.mu.Unlock()
	if changed {
		c.touch()
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
	minor := time.NewTicker(minorDelay)
	defer minor.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-minor.C:
			c.mu.Lock()
			due := c.minor
			c.mu.Unlock()
			if due {
				c.Build()
			}
		case <-c.wake:
			c.settle(ctx)
			c.Build()
		}
	}
}

// settle waits until changes pause, but not for long.
func (c *Catalogue) settle(ctx context.Context) {
	deadline := time.NewTimer(maxDelay)
	defer deadline.Stop()
	quiet := time.NewTimer(quietDelay)
	defer quiet.Stop()
	for {
		select {
		case <-c.wake:
			quiet.Reset(quietDelay)
		case <-quiet.C:
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
