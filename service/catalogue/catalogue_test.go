package catalogue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// toolsets returns the listed toolsets.
func toolsets(t *testing.T, c *Catalogue) []servicetest.Toolset {
	t.Helper()
	return servicetest.Decode[servicetest.List](t, c.Snapshot().Toolsets().JSON()).Toolsets
}

// rendered identifies one rendering of a toolset.
func rendered(c *Catalogue, namespace, name string) *byte {
	body, _ := c.Snapshot().Lookup([]byte(name), []byte(namespace))
	return &body.JSON[0]
}

// A burst makes few snapshots, the first of them soon.
func TestBurstIsCoalesced(t *testing.T) {
	c := New(servicetest.Identify, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()
	c.Replace(nil)
	for c.Snapshot() == nil {
		time.Sleep(time.Millisecond)
	}
	var snapshots int
	seen := make(chan int)
	stop := make(chan struct{})
	go func() {
		for last := c.Snapshot(); ; {
			select {
			case <-last.Superseded():
				snapshots++
				last = c.Snapshot()
			case <-stop:
				seen <- snapshots
				return
			}
		}
	}()
	for i := range 2000 {
		c.Upsert(servicetest.Service("ns", fmt.Sprintf("s%04d", i), "prometheus"))
	}
	for end := time.Now().Add(time.Minute); c.Snapshot().Toolsets().Len() != 2000; {
		if time.Now().After(end) {
			t.Fatalf("only %d toolsets are visible", c.Snapshot().Toolsets().Len())
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	if n := <-seen; n > 400 || n < 1 {
		t.Errorf("2,000 events became %d snapshots", n)
	}
}

// What has not changed is not rendered again.
func TestRenderingIsIncremental(t *testing.T) {
	c := New(servicetest.Identify, nil)
	var all []*corev1.Service
	for i := range 100 {
		all = append(all, servicetest.Service("ns", fmt.Sprintf("s%03d", i), "prometheus"))
	}
	c.Replace(all)
	c.Build()
	before := map[string]*byte{}
	for _, svc := range all {
		before[svc.Name] = rendered(c, "ns", svc.Name)
	}
	c.Replace(all)
	changed := servicetest.Service("ns", "s050", "grafana")
	c.Upsert(changed)
	c.Build()
	renewed := 0
	for name, was := range before {
		if rendered(c, "ns", name) != was {
			renewed++
		}
	}
	if renewed != 1 {
		t.Errorf("%d of 100 toolsets were rendered again", renewed)
	}
	changes, _, ok := c.Snapshot().ChangesSince(0)
	if !ok || len(changes) != 1 || changes[0].Kind != "updated" {
		t.Errorf("changes: %v %v", changes, ok)
	}
}

func TestHealthIsKeptAndReset(t *testing.T) {
	c := New(servicetest.Identify, nil)
	s := servicetest.Service("ns", "p", "prometheus")
	c.Replace([]*corev1.Service{s})
	c.Build()
	one := func() map[string]any {
		b, _ := c.Snapshot().Lookup([]byte("p"), nil)
		return servicetest.Decode[map[string]any](t, b.JSON)
	}
	if v := one(); v["healthy"] != false || v["healthReason"] != "not checked yet" || v["lastHealthCheck"] != nil {
		t.Errorf("before the first check: %v", v)
	}
	c.SetHealth(service.Key{Namespace: "ns", Name: "p"}, service.Health{Healthy: true, Reason: "fine", CheckedAt: time.Now(),
		History: []service.HealthCheck{{Time: time.Now().In(time.FixedZone("elsewhere", 3600)), Healthy: true, Reason: "fine", Attempts: 1}}})
	c.Build()
	if v := one(); v["healthy"] != true || len(v["healthHistory"].([]any)) != 1 {
		t.Errorf("after a check: %v", v)
	} else if at := v["healthHistory"].([]any)[0].(map[string]any)["time"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("the time of a check is not UTC: %s", at)
	}
	relabelled := s.DeepCopy()
	relabelled.Labels["more"] = "1"
	c.Upsert(relabelled)
	c.Build()
	if v := one(); v["healthy"] != true {
		t.Errorf("a new label lost the health: %v", v)
	}
	moved := relabelled.DeepCopy()
	moved.Annotations = map[string]string{"path": "/elsewhere"}
	c.Upsert(moved)
	c.Build()
	if v := one(); v["healthy"] != false {
		t.Errorf("another probe kept the old health: %v", v)
	}
	c.SetHealth(service.Key{Namespace: "ns", Name: "gone"}, service.Health{Healthy: true}) // must not panic
}

// The version of a written ConfigMap is in the lists at once, with another tag. That makes
// no new snapshot, and Superseded does not tell of it.
func TestConfigMapVersionIsNoNewSnapshot(t *testing.T) {
	c := New(servicetest.Identify, nil)
	c.SetConfigMapVersion("1")
	c.Replace(servicetest.Cluster(300))
	c.Build()
	<-c.wake // all that was waiting is built
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	before := c.Snapshot()
	c.SetConfigMapVersion("2")
	after := c.Snapshot()
	for what, lists := range map[string][2]*snapshot.Collection{"toolsets": {before.Toolsets(), after.Toolsets()}, "services": {before.Services(), after.Services()}} {
		was, is := string(lists[0].JSON()), string(lists[1].JSON())
		if want := strings.Replace(was, `"configMapVersion":"1"}`, `"configMapVersion":"2"}`, 1); was == want || is != want {
			t.Errorf("the %s end with %s", what, is[len(is)-50:])
		}
		if string(lists[0].ETag()) == string(lists[1].ETag()) {
			t.Errorf("the %s have the same tag", what)
		}
	}
	time.Sleep(4 * maxDelay) // enough to build one
	select {
	case <-before.Superseded():
		t.Error("who waits for a newer snapshot was told of one")
	default:
	}
	if !after.BuiltAt.Equal(before.BuiltAt) || after.Document() != before.Document() || after.Sequence() != before.Sequence() {
		t.Error("another snapshot was built")
	}
	cancel()
	running.Wait()
	c.Upsert(servicetest.Service("ns", "new", "grafana"))
	c.Build()
	<-before.Superseded()
	if list := c.Snapshot().Toolsets().JSON(); !strings.Contains(string(list), `"configMapVersion":"2"`) {
		t.Error("the next snapshot has lost the version")
	}
}
