package snapshot

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// Who goes through the items sees what lookups answer.
func TestItemsAreWhatLookupsFind(t *testing.T) {
	life := servicetest.Life{Rand: rand.New(rand.NewPCG(7, 7))}
	st := newState(life.Services()...)
	for range 40 {
		svc := life.Service()
		st.Upsert(svc)
		st.SetHealth(service.Key{Namespace: svc.Namespace, Name: svc.Name}, life.Health())
	}
	st.set(&service.Backend{Key: service.Key{Namespace: "outside", Name: "overrides.yaml:far"}, Name: "far", Type: "custom", Enabled: true, Endpoint: "https://far.example.com"}, true)
	s := st.Build()
	n, healthy, unchecked, aliases, added, primaries := 0, 0, 0, 0, 0, map[string]string{}
	var last service.Key
	for i := range s.Items() {
		n++
		key, typ := i.Key(), i.Backend().Type
		if n > 1 && last.Compare(key) >= 0 {
			t.Errorf("%s comes after %s", key, last)
		}
		last = key
		if body, match := s.Lookup([]byte(key.Name), []byte(key.Namespace)); match == Found && !bytes.HasPrefix(body.JSON, i.Document().JSON[:len(i.Document().JSON)-1]) && i.Backend().Enabled {
			// A lookup may prefer another toolset of this name only if it is of a type of that name.
			if _, isType := s.Primary([]byte(key.Name), []byte(key.Namespace)); !isType {
				t.Errorf("%s: a lookup answers %s, the item has %s", key, body.JSON, i.Document().JSON)
			}
		}
		if h := st.known[i.Backend().Key].Health; i.Healthy() != h.Healthy || i.Checked() != !h.CheckedAt.IsZero() {
			t.Errorf("%s is healthy: %v, checked: %v; its health is %+v", key, i.Healthy(), i.Checked(), h)
		}
		if i.Healthy() {
			healthy++
		}
		if !i.Checked() {
			unchecked++
		}
		if i.Added() {
			added++
		}
		aliases += len(i.Aliases())
		if primary, ok := s.Primary([]byte(typ), nil); ok && primary == key {
			primaries[typ] = s.PrimaryReason(typ)
		}
	}
	if n != s.Toolsets().Len() || n == 0 || healthy == 0 || unchecked == 0 || aliases == 0 || added == 0 {
		t.Errorf("%d items of %d; %d healthy, %d unchecked, %d aliases, %d added: the test is empty if one is 0", n, s.Toolsets().Len(), healthy, unchecked, aliases, added)
	}
	for typ, count := range s.CountByType() {
		if reason := primaries[typ]; reason == "" && count > 0 && s.PrimaryReason(typ) != "" {
			t.Errorf("%s has no primary among the items", typ)
		}
	}
	if s.PrimaryReason("no such type") != "" {
		t.Error("a type that nobody has has a primary")
	}
}

// What takes the whole list to say is kept by the snapshot.
func TestDiscoveredAt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := NewBuilder().Next(nil, nil, at, "").DiscoveredAt(); !got.Equal(at) {
		t.Errorf("%s", got)
	}
}
