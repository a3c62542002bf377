package snapshot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

func TestChooseFindsWhatLookupFinds(t *testing.T) {
	c := newState()
	c.Replace([]*corev1.Service{
		servicetest.Service("a", "main", "prometheus"), servicetest.Service("b", "main", "prometheus"), servicetest.Service("b", "other", "grafana"),
		servicetest.Service("c", "grafana", "loki"), servicetest.Service("c", "x", "prometheus"), servicetest.Service("d", "grafana", "grafana"),
	})
	c.Build()
	for _, name := range []string{"main", "grafana", "prometheus", "x", "loki", "nothing", ""} {
		for _, namespace := range []string{"", "a", "b", "c", "d"} {
			body, want := c.Lookup([]byte(name), []byte(namespace))
			got, m := c.Choose([]byte(name), []byte(namespace))
			if m != want {
				t.Fatalf("%q in %q: %v, want %v", name, namespace, m, want)
			}
			if m != Found {
				continue
			}
			// What the lookup's answer says.
			key := got.Key()
			others, omitted := c.Alternatives(&got, 20)
			var names []string
			for _, o := range others {
				names = append(names, o.Key().String())
			}
			if omitted > 0 {
				t.Errorf("%d are left out", omitted)
			}
			for _, part := range []string{fmt.Sprintf(`{"name":%q,"namespace":%q`, key.Name, key.Namespace), `"primaryReason":"` + got.Reason(), `"` + strings.Join(names, `","`)} {
				if part != `"primaryReason":"` && !strings.Contains(string(body.JSON), part) {
					t.Errorf("%q in %q: %s is not in %s", name, namespace, part, body.JSON)
				}
			}
			if (got.Reason() != "") != strings.Contains(string(body.JSON), `"primaryReason"`) {
				t.Errorf("%q in %q: %+v, but %s", name, namespace, got, body.JSON)
			}
		}
	}
}

// What is compared within one namespace says so: elsewhere there may be more of the type.
func TestReasonWithinANamespace(t *testing.T) {
	c := newState()
	c.Replace([]*corev1.Service{servicetest.Service("a", "x", "prometheus"), servicetest.Service("b", "y", "prometheus")})
	c.Build()
	for namespace, want := range map[string]string{"a": "the only one of this type in its namespace", "": "before b/y by namespace and name; nothing else tells them apart"} {
		if got, _ := c.Choose([]byte("prometheus"), []byte(namespace)); got.Reason() != want {
			t.Errorf("%q: %s", namespace, got.Reason())
		}
	}
}

// Pages of Select are what the list shows with the same filter.
func TestSelect(t *testing.T) {
	c := newState()
	var all []*corev1.Service
	for i := range 500 {
		all = append(all, servicetest.Service(fmt.Sprintf("ns-%d", i%7), fmt.Sprintf("s-%03d", i), []string{"loki", "tempo", "grafana"}[i%3]))
	}
	c.Replace(all)
	c.Build()
	for _, f := range []Filter{{}, {Type: []byte("tempo")}, {Namespace: []byte("ns-3")}, {Type: []byte("loki"), Namespace: []byte("ns-6")}, {Healthy: Yes}, {Type: []byte("none")}} {
		var want []service.Key
		for i := range c.Select(&f) {
			want = append(want, i.Key())
		}
		if n := strings.Count(string(c.Toolsets().AppendJSON(nil, &f)), `"serviceEndpoint"`); n != len(want) || c.Count(&f) != n {
			t.Fatalf("%+v: %d, want %d; count %d", f, len(want), n, c.Count(&f))
		}
		var got []service.Key
		page := f
		for range 1000 {
			n := 0
			var last service.Key
			for i := range c.Select(&page) {
				got = append(got, i.Key())
				last = i.Key()
				if n++; n == 7 {
					break
				}
			}
			if n < 7 {
				break
			}
			if !page.After.Parse([]byte(TokenAfter(last))) {
				t.Fatal(last)
			}
			if c.Count(&page) != len(want) {
				t.Fatal(c.Count(&page))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: pages have %v, want %v", f, got, want)
		}
	}
}

func TestPrimaries(t *testing.T) {
	c := newState()
	c.Replace([]*corev1.Service{
		servicetest.Service("a", "x", "prometheus"), servicetest.Service("b", "y", "thanos-query"), servicetest.Service("a", "z", "prometheus"), servicetest.Service("a", "l", "loki"),
	})
	c.Build()
	types := []string{"thanos-query", "mimir", "prometheus"}
	keys := func(namespace string) string {
		var s []string
		for _, p := range c.Primaries(types, namespace) {
			s = append(s, p.Key().String())
		}
		return strings.Join(s, " ")
	}
	if got := keys(""); got != "b/y a/x" {
		t.Error(got)
	}
	if got := keys("a"); got != "a/x" {
		t.Error(got)
	}
	if got := keys("c"); got != "" {
		t.Error(got)
	}
	// The one that has failed all of its checks comes last, though its type is the first.
	at0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.SetHealth(service.Key{Namespace: "b", Name: "y"}, service.Health{CheckedAt: at0, History: []service.HealthCheck{{}}, Reason: "refused"})
	c.Build()
	if got := keys(""); got != "a/x b/y" {
		t.Error(got)
	}
	down := c.Primaries(types, "")[1]
	if reason, at := down.Health(); !down.Down() || reason != "refused" || at != FormatTime(at0) {
		t.Error(reason, at)
	}
}

func TestAlternativesThatAreLeftOut(t *testing.T) {
	c := newState()
	var all []*corev1.Service
	for i := range 30 {
		all = append(all, servicetest.Service("a", fmt.Sprintf("s-%02d", i), "loki"))
	}
	c.Replace(all)
	c.Build()
	found, _ := c.Choose([]byte("loki"), nil)
	for most, left := range map[int]int{0: 29, 10: 19, 20: 9, 50: 9} {
		if names, omitted := c.Alternatives(&found, most); len(names) != min(most, 20) || omitted != left {
			t.Errorf("%d: %v and %d", most, names, omitted)
		}
	}
}
