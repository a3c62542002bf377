package catalogue

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// After any changes in any order, the snapshot is what a builder makes of the final state
// at once, so no change is forgotten. A watcher that follows the changes gets the same
// list. (Package snapshot compares with a plain implementation.)
func TestRandomLives(t *testing.T) {
	for seed := range uint64(16 / servicetest.Shorter) {
		life := servicetest.Life{Rand: rand.New(rand.NewPCG(seed, 3))}
		c := New(servicetest.Identify, nil)
		var w servicetest.Watcher
		c.Replace(life.Services())
		for range 300 / servicetest.Shorter {
			switch life.IntN(16) {
			case 0:
				c.Replace(life.Services())
			case 1:
				r := c.Begin("ns1")
				for _, svc := range life.Services() {
					if svc.Namespace == "ns1" {
						r.Add([]*corev1.Service{svc})
					}
				}
				r.Commit()
			case 2, 3, 4, 5:
				c.Upsert(life.Service())
			case 6, 7, 8:
				svc := life.Service()
				c.Delete(svc.Namespace, svc.Name)
			case 9, 10, 11:
				c.SetHealth(keyOf(life.Service()), life.Health())
			case 12:
				c.SetConfigMapVersion(strconv.Itoa(life.IntN(10)))
			case 13:
				c.administer(life)
			case 14:
				c.sweep()
			default:
				c.Build()
				servicetest.Follow(t, &w, c.Snapshot(), c.Snapshot().Toolsets().JSON())
			}
		}
		c.Build()
		servicetest.Follow(t, &w, c.Snapshot(), c.Snapshot().Toolsets().JSON())
		compareWithAnew(t, c)
	}
}

// administer changes the records as SetOverrides does, without the format of overrides.
func (c *Catalogue) administer(life servicetest.Life) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, r := range c.records {
		switch {
		case r.Added:
			c.remove(k)
		case life.IntN(10) == 0:
			c.show(k, r.found, life.Changed(r.found))
		}
	}
	for range life.IntN(3) {
		b := life.Added()
		c.show(b.Key, nil, b)
	}
}

// compareWithAnew compares the snapshot with the first one of a builder that is given the
// state at once.
func compareWithAnew(t *testing.T, c *Catalogue) {
	t.Helper()
	var updates []snapshot.Update
	names := map[service.Key]bool{}
	for k, r := range c.records {
		updates = append(updates, snapshot.Update{Key: k, State: r.State})
		for _, in := range []string{"", k.Namespace} {
			names[service.Key{Namespace: in, Name: k.Name}] = true
			names[service.Key{Namespace: in, Name: r.Backend.Name}] = true
			names[service.Key{Namespace: in, Name: r.Backend.Type}] = true
		}
	}
	is, anew := c.Snapshot(), snapshot.NewBuilder().Next(nil, updates, c.discovery, c.version)
	for what, answers := range map[string][2]*snapshot.Answer{
		"toolsets": {is.Toolsets().Answer, anew.Toolsets().Answer}, "services": {is.Services().Answer, anew.Services().Answer}, "document": {is.Document(), anew.Document()},
	} {
		if a, b := answers[0], answers[1]; !bytes.Equal(a.ETag(), b.ETag()) || !bytes.Equal(a.JSON(), b.JSON()) {
			t.Fatalf("the %s depend on the way to them", what)
		}
	}
	for k := range names {
		name, namespace := []byte(k.Name), []byte(k.Namespace)
		a, found := is.Lookup(name, namespace)
		b, found2 := anew.Lookup(name, namespace)
		if found != found2 || a != nil && !bytes.Equal(a.JSON, b.JSON) ||
			found == snapshot.Ambiguous && !slices.Equal(is.Candidates(name, namespace, 1000), anew.Candidates(name, namespace, 1000)) {
			t.Fatalf("what %s finds depends on the way to it", k)
		}
	}
}
