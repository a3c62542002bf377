package tools_test

import (
	"fmt"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// Why it is this back end says what has decided between the types: people, health, answers,
// for whom it is there, or else the order of types.
func TestWhyThisTypeComesFirst(t *testing.T) {
	down := service.Health{CheckedAt: at, History: []service.HealthCheck{{Time: at}}}
	none := func(*world) {}
	for name, q := range map[string]struct {
		labels     [3]string // of the Thanos, the Mimir and the Prometheus
		then       func(*world)
		first, why string
	}{
		"types": {then: none, first: "thanos", why: "thanos-query comes before mimir (b/mimir), since nothing else decides"},
		"down":  {then: func(w *world) { w.SetHealth(service.Key{Namespace: "a", Name: "thanos"}, down) }, first: "mimir", why: "a/thanos has failed all of its last health checks"},
		// The Thanos would come before both, which says more than what tells these two apart.
		"two are down": {then: func(w *world) {
			w.SetHealth(service.Key{Namespace: "a", Name: "thanos"}, down)
			w.SetHealth(service.Key{Namespace: "b", Name: "mimir"}, down)
		}, first: "main", why: "a/thanos has failed all of its last health checks"},
		"proof": {then: func(w *world) {
			w.SetIdentity(service.Key{Namespace: "c", Name: "main"}, service.Identity{Verdict: service.Verified, Type: "prometheus", Product: "Prometheus",
				URL: "http://main.c.svc.cluster.local:9090", Access: service.Access{Scheme: "http"}, At: at})
		}, first: "main", why: "it has said itself what it is, and a/thanos has not"},
		"people": {labels: [3]string{2: "primary=true"}, then: none, first: "main", why: "an annotation of its Service makes it the primary"},
		"scope":  {labels: [3]string{0: "scope=bundled"}, then: none, first: "mimir", why: `"team" in the namespace or labels of a/thanos says that it belongs to something of its own`},
	} {
		w := newWorld(t)
		w.add("a", "thanos", "thanos-query", q.labels[0])
		w.add("b", "mimir", "mimir", q.labels[1])
		w.add("c", "main", "prometheus", q.labels[2])
		w.view()
		q.then(w)
		got := w.call(w.view(), "find_backend", `{"signal":"metrics"}`)
		if want := q.why + "; the only one of this type"; got["name"] != q.first || got["why"] != want {
			t.Errorf("%s: %v, %v; want %s, %s", name, got["name"], got["why"], q.first, want)
		}
	}
}

// The health of many alternatives keeps an answer small.
func TestTokensOfAlternatives(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.add(fmt.Sprintf("team-%02d", i), "prometheus-operated", "prometheus")
	}
	w.view()
	for i := range 30 {
		w.SetHealth(service.Key{Namespace: fmt.Sprintf("team-%02d", i), Name: "prometheus-operated"}, service.Health{Healthy: i%2 == 0, CheckedAt: at})
	}
	raw, err := w.view().Call(t.Context(), "find_backend", []byte(`{"signal":"metrics"}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(raw) / 4; n > 300 {
		t.Errorf("an answer with ten alternatives takes %d tokens, more than 300:\n%s", n, raw)
	} else {
		t.Logf("an answer with ten alternatives takes %d tokens", n)
	}
}
