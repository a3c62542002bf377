package detect

import (
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// below returns w, whose containers answer below these paths.
func below(w *service.Workload, prefixes ...string) *service.Workload {
	for i, prefix := range prefixes {
		w.Containers[i].Prefix = prefix
	}
	return w
}

// What its workload says about the path of a back end is in the URL for agents and in that
// of the health check, and its answers have the last word.
func TestPrefixOfTheWorkload(t *testing.T) {
	const at = "http://x.n.svc.cluster.local:"
	for name, c := range map[string]struct {
		pods        selected
		port        string
		url, health string
	}{
		"a flag":              {selected{below(running("d", "prom/prometheus 9090/web"), "/prom")}, "web 9090", at + "9090/prom", at + "9090/prom/-/healthy"},
		"beside a sidecar":    {selected{below(running("d", "quay.io/thanos/thanos 10902", "prom/prometheus 9090/web"), "/t", "/prom")}, "web 9090", at + "9090/prom", at + "9090/prom/-/healthy"},
		"behind a proxy":      {selected{below(running("d", "oauth2-proxy 9091/proxy", "prom/prometheus 9090/web"), "", "/prom")}, "web 9090", at + "9090/prom", at + "9090/prom/-/healthy"},
		"an API below a path": {selected{below(running("d", "grafana/mimir 8080"), "/metrics-store")}, "http 8080", at + "8080/metrics-store/prometheus", at + "8080/metrics-store/ready"},
		"two that differ":     {selected{below(running("d", "prom/prometheus 9090/web"), "/a"), below(running("e", "prom/prometheus 9090/web"), "/b")}, "web 9090", at + "9090", at + "9090/-/healthy"},
		"one of two":          {selected{below(running("d", "prom/prometheus 9090/web"), "/a"), running("e", "prom/prometheus 9090/web")}, "web 9090", at + "9090", at + "9090/-/healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Default()
			b := rules.Identify(aService("x", "y", c.port), Options{Workloads: c.pods}).Backend
			if b == nil {
				t.Fatal("not found")
			}
			if got := b.Endpoint + b.APIPath; got != c.url || b.Probe.URL != c.health {
				t.Fatalf("%s, healthy by %s; want %s, %s", got, b.Probe.URL, c.url, c.health)
			}
			q := rules.Question(b)
			if b.Prefix == "" {
				if len(q.URLs) != 1 {
					t.Errorf("asks at %v", q.URLs)
				}
				return
			}
			if len(q.URLs) != 2 || q.URLs[0] != b.Endpoint+b.Prefix || q.URLs[1] != b.Endpoint {
				t.Errorf("asks at %v", q.URLs)
			}
			// It answers where it should, or at the root, or elsewhere.
			apiPath := b.APIPath[len(b.Prefix):]
			for _, path := range []string{b.Prefix, "", "/other"} {
				id := service.Identity{Verdict: service.Verified, Type: b.Type, Access: service.Access{Scheme: "http", Path: path}}
				shown := rules.Correct(b, &id)
				wantHealth := b.Endpoint + path + c.health[len(b.Endpoint+b.Prefix):]
				if got := shown.Endpoint + shown.APIPath; got != b.Endpoint+path+apiPath || shown.Probe.URL != wantHealth {
					t.Errorf("answers below %q: %s, healthy by %s; want %s", path, got, shown.Probe.URL, wantHealth)
				}
			}
			// It is another kind, at the same place.
			id := service.Identity{Verdict: service.Verified, Type: "victoriametrics", Access: service.Access{Scheme: "http", Path: b.Prefix}}
			if shown := rules.Correct(b, &id); shown.Type != "victoriametrics" || shown.Endpoint+shown.APIPath != b.Endpoint+b.Prefix || shown.Probe.URL != b.Endpoint+b.Prefix+"/health" {
				t.Errorf("as VictoriaMetrics: %s%s, healthy by %s", shown.Endpoint, shown.APIPath, shown.Probe.URL)
			}
		})
	}
	// An annotation says it better.
	svc := aService("x", "y", "web 9090")
	svc.Annotations = map[string]string{AnnotationEndpoint: "http://elsewhere:9090"}
	if b := Default().Identify(svc, Options{Workloads: selected{below(running("d", "prom/prometheus 9090/web"), "/prom")}}).Backend; b.Endpoint+b.APIPath != "http://elsewhere:9090" || b.Prefix != "" {
		t.Errorf("%s%s", b.Endpoint, b.APIPath)
	}
}
