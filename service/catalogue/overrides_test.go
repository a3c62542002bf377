package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// probed is a Prober that records its calls.
type probed map[service.Key]string

func (p probed) Set(key service.Key, probe service.Probe) {
	p[key] = probe.URL + probe.Address
}
func (p probed) Remove(key service.Key) { delete(p, key) }

// Overrides change at once what is shown and checked, and nothing that they don't match.
// Without them, all is as it was discovered.
func TestSetOverrides(t *testing.T) {
	prober := probed{}
	c := New(servicetest.Identify, prober)
	c.Replace([]*corev1.Service{servicetest.Service("a", "grafana", "grafana"), servicetest.Service("a", "loki", "loki"), servicetest.Service("b", "loki", "loki")})
	c.SetHealth(service.Key{Namespace: "a", Name: "loki"}, service.Health{Healthy: true, Reason: "fine", CheckedAt: time.Now()})
	c.Build()
	shown := func() string {
		c.Build()
		var all []string
		for _, s := range toolsets(t, c) {
			all = append(all, fmt.Sprintf("%s/%s=%s,%v,%v", s.Namespace, s.Name, s.Type, s.Enabled, s.Healthy))
		}
		return strings.Join(all, " ")
	}
	before := rendered(c, "a", "loki")
	const discovered = "a/grafana=grafana,true,false a/loki=loki,true,true b/loki=loki,true,false"
	if got := shown(); got != discovered {
		t.Fatal(got)
	}
	c.SetOverrides(mustParse(t, `
toolsets:
- {name: loki, namespace: b, disable: true}
- {name: grafana, type: custom}
- {name: outside, namespace: z, type: prometheus, url: "http://outside.example:9090", add: true}
- {name: grafana, namespace: a, type: grafana, url: "http://grafana.example", add: true}
`))
	// An added toolset keeps its name, whatever a Service is called.
	const changed = "a/grafana=grafana,true,false a/grafana-grafana=custom,true,false a/loki=loki,true,true b/loki=loki,false,false z/outside=prometheus,true,false"
	if got := shown(); got != changed {
		t.Errorf("got %s, want %s", got, changed)
	}
	if rendered(c, "a", "loki") != before {
		t.Error("what no override is about was rendered again")
	}
	if n := c.Snapshot().Services().Len(); n != 3 {
		t.Errorf("%d Services, of which there are 3", n)
	}
	if body, match := c.Snapshot().Lookup([]byte("outside"), nil); match != snapshot.Found || !strings.Contains(string(body.JSON), `"serviceEndpoint":"http://outside.example:9090"`) {
		t.Errorf("what was added is not found: %v", match)
	}
	if got := prober[addedKey(&service.Backend{Key: service.Key{Namespace: "z"}, Name: "outside"})]; got != "outside.example:9090" {
		t.Errorf("what was added is checked by %q; all checks: %v", got, prober)
	}
	c.SetHealth(service.Key{Namespace: "z", Name: overrides.Key + ":outside"}, service.Health{Healthy: true, Reason: "fine", CheckedAt: time.Now()})
	// Reading the cluster again, and a new Service, change nothing about it.
	c.Replace([]*corev1.Service{servicetest.Service("a", "grafana", "grafana"), servicetest.Service("a", "loki", "loki"), servicetest.Service("b", "loki", "loki")})
	c.Upsert(servicetest.Service("c", "grafana", "grafana"))
	if got, want := shown(), strings.Replace(changed, "z/outside=prometheus,true,false", "c/grafana=custom,true,false z/outside=prometheus,true,true", 1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.Delete("c", "grafana")
	c.SetOverrides(nil)
	if got := shown(); got != discovered {
		t.Errorf("without overrides: %s, want %s", got, discovered)
	}
	if got := slices.SortedFunc(maps.Keys(prober), service.Key.Compare); len(got) != 3 {
		t.Errorf("checked are %v", got)
	}
}

// Overrides may come before the cluster was read.
func TestOverridesBeforeTheFirstState(t *testing.T) {
	c := New(servicetest.Identify, nil)
	c.SetOverrides(mustParse(t, `
toolsets:
- {name: loki, namespace: b, disable: true}
- {name: outside, namespace: z, type: prometheus, url: "http://outside.example:9090", add: true}
`))
	if c.Build(); c.Snapshot() != nil {
		t.Fatal("there is a snapshot although the cluster has not been read")
	}
	c.Replace([]*corev1.Service{servicetest.Service("b", "loki", "loki")})
	c.Build()
	if s := c.Snapshot(); s.Toolsets().Len() != 2 || s.Services().Len() != 1 || strings.Contains(string(s.Document().JSON()), "loki") {
		t.Errorf("%s", s.Toolsets().JSON())
	}
}

// An override of one of several Services of a back end makes this Service the toolset,
// unless it only disables it. A toolset that is disabled takes its aliases with it: none
// takes its place.
func TestOverridesAndAliases(t *testing.T) {
	shared := func(name string) *corev1.Service {
		svc := servicetest.Service("a", name, "loki")
		svc.Spec.Selector = map[string]string{"app": "loki"}
		svc.Spec.Ports = []corev1.ServicePort{{Port: 3100, TargetPort: intstr.FromInt32(3100)}}
		return svc
	}
	for what, q := range map[string]struct{ overrides, want, told string }{
		"none":           {`[]`, "a/l1[a/l2 a/l3]true", ""},
		"the alias":      {`[{name: l2, namespace: a, description: Mine.}]`, "a/l2[a/l1 a/l3]true", ""},
		"its primary":    {`[{name: l3, primary: true}]`, "a/l3[a/l1 a/l2]true", ""},
		"two":            {`[{name: l2, description: Mine.}, {name: l3, primary: true}]`, "a/l2[]true a/l3[a/l1]true", ""},
		"off":            {`[{name: l1, disable: true}]`, "a/l1[a/l2 a/l3]false", ""},
		"the alias off":  {`[{name: l2, disable: true}]`, "a/l1[a/l2 a/l3]true", "toolsets[0] (a/l2) switches off an alias of a/l1"},
		"moved":          {`[{name: l2, namespace: a, url: "http://elsewhere.example"}]`, "a/l1[a/l3]true a/l2[]true", ""},
		"another type":   {`[{name: l3, type: custom}]`, "a/l1[a/l2]true a/l3[]true", ""},
		"its health":     {`[{name: l3, namespace: a, health: /up}]`, "a/l3[a/l1 a/l2]true", ""},
		"one added":      {`[{name: l9, namespace: a, add: true, type: loki, url: "http://l1.a:3100"}]`, "a/l1[a/l2 a/l3]true a/l9[]true", ""},
		"an added alias": {`[{name: l2, namespace: a, add: true, type: loki, url: "http://l1.a:3100"}]`, "a/l1[a/l2 a/l3]true a/l2[]true", ""},
	} {
		c := New(servicetest.Identify, nil)
		c.Replace([]*corev1.Service{shared("l3"), shared("l1"), shared("l2")})
		c.SetOverrides(mustParse(t, "toolsets: "+q.overrides))
		c.Build()
		var got []string
		for _, s := range toolsets(t, c) {
			got = append(got, fmt.Sprintf("%s/%s%v%v", s.Namespace, s.Name, s.Aliases, s.Enabled))
		}
		if got := strings.Join(got, " "); got != q.want {
			t.Errorf("%s: got %s, want %s", what, got, q.want)
		}
		if got := strings.Join(c.OverriddenAliases(), " "); got != q.told {
			t.Errorf("%s: told %q, want %q", what, got, q.told)
		}
		compareWithAnew(t, c)
	}
}

// Nothing is known of an added toolset that speaks for it as the primary, so it is not
// preferred to the cluster's own unless the administrator says so.
func TestAnAddedToolsetIsNotThePrimaryByItself(t *testing.T) {
	identify := func(svc *corev1.Service) *service.Backend {
		b := servicetest.Identify(svc)
		b.Standing = service.Standing{Scope: service.ScopeCluster, Role: service.RoleServer}
		return b
	}
	for doc, want := range map[string]string{
		`[{name: elsewhere, namespace: a, add: true, type: prometheus, url: "http://elsewhere.example:9090"}]`:                "b/prometheus it is the cluster's, which nothing says of a/elsewhere",
		`[{name: elsewhere, namespace: a, add: true, type: prometheus, url: "http://elsewhere.example:9090", primary: true}]`: "a/elsewhere the administrator's overrides make it the primary",
	} {
		c := New(identify, probed{})
		c.Replace([]*corev1.Service{servicetest.Service("b", "prometheus", "prometheus")})
		c.SetOverrides(mustParse(t, "toolsets: "+doc))
		c.Build()
		body, match := c.Snapshot().Lookup([]byte("prometheus"), nil)
		var got struct{ Namespace, Name, PrimaryReason string }
		if err := json.Unmarshal(body.JSON, &got); err != nil || match != snapshot.Found {
			t.Fatal(match, err, string(body.JSON))
		}
		if s := got.Namespace + "/" + got.Name + " " + got.PrimaryReason; s != want {
			t.Errorf("%s:\ngot  %s\nwant %s", doc, s, want)
		}
	}
}

func mustParse(t *testing.T, doc string) *overrides.Set {
	t.Helper()
	o, wrong := overrides.Parse([]byte(doc))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return o
}
