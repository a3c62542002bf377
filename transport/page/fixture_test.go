package page

import (
	"fmt"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// noon is when the pages of the tests are drawn.
var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// A made is a back end that a test has made up.
type made struct {
	key     service.Key
	kind    string
	url     string
	id      service.Identity
	checks  string // of the last few, the oldest first: + for healthy, - for not
	reason  string // of the last check, if it failed
	latency float64
	aliasOf bool // its pods are those of the one before
	off     bool
	added   bool
	primary bool
	about   string // evidence, labels and annotations
}

func history(m *made) service.Health {
	var h service.Health
	for i, c := range m.checks {
		check := service.HealthCheck{Time: noon.Add(-time.Duration(12+30*(len(m.checks)-1-i)) * time.Second), Healthy: c == '+', LatencyMS: m.latency + float64(i%3)/4, Attempts: 1,
			Reason: "GET /-/healthy answered 200 OK"}
		if c != '+' {
			check.Reason, check.Attempts = m.reason, 3
		}
		h.History = append([]service.HealthCheck{check}, h.History...)
		h.Healthy, h.Reason, h.CheckedAt = check.Healthy, check.Reason, check.Time
	}
	return h
}

// drawn returns a page and a snapshot of these back ends.
func drawn(all []made) (*Page, *snapshot.Snapshot) {
	identities := map[service.Key]service.Identity{}
	var updates []snapshot.Update
	app := ""
	for i, m := range all {
		if !m.aliasOf {
			app = fmt.Sprint("app-", i)
		}
		b := &service.Backend{
			Key: m.key, Name: m.key.Name, Type: m.kind, Enabled: !m.off, Endpoint: m.url, Description: m.about, Primary: m.primary,
			Created: noon.Add(-time.Duration(len(all)-i) * time.Hour),
		}
		if !m.added {
			b.Pods = &service.Pods{Selector: map[string]string{"app": app}, Port: 80, ServicePort: 80, Headless: m.aliasOf}
		}
		if m.about != "" {
			b.Evidence, b.Labels, b.Annotations = []string{m.about}, map[string]string{m.about: m.about}, map[string]string{m.about: m.about}
		}
		identities[m.key] = m.id
		updates = append(updates, snapshot.Update{Key: m.key, State: snapshot.State{Backend: b, Added: m.added, Discovered: noon.Add(-time.Hour), Health: history(&m)}})
	}
	snap := snapshot.NewBuilder().Next(nil, updates, noon.Add(-4*time.Minute), "48213")
	snap.BuiltAt = noon.Add(-3 * time.Second)
	p := New()
	p.now = func() time.Time { return noon }
	p.identityOf = func(i snapshot.Item) service.Identity { return identities[i.Backend().Key] }
	return p, snap
}

func verified(kind, product, version, asked string) service.Identity {
	return service.Identity{Verdict: service.Verified, Type: kind, Product: product, Version: version, At: noon.Add(-6 * time.Minute),
		Evidence: []string{"GET " + asked + " answered as " + product + " " + version}}
}

const refused = "connection refused; nothing listens at this port"

// few returns a small cluster that shows every state.
func few() []made {
	key := func(s string) service.Key {
		namespace, name, _ := strings.Cut(s, "/")
		return service.Key{Namespace: namespace, Name: name}
	}
	url := func(s, port string) string {
		k := key(s)
		return "http://" + k.Name + "." + k.Namespace + ".svc.cluster.local:" + port
	}
	prefixed := verified("prometheus", "Prometheus", "3.5.0", "/api/v1/status/buildinfo")
	prefixed.Access = service.Access{Scheme: "http", Path: "/prometheus", Auth: service.AuthNone}
	tenant := verified("loki", "Loki", "3.4.2", "/loki/api/v1/status/buildinfo")
	tenant.Access = service.Access{Scheme: "http", Auth: service.AuthNone, Tenant: true}
	basic := verified("elasticsearch", "Elasticsearch", "8.17.1", "/")
	basic.Access = service.Access{Scheme: "https", Auth: service.AuthBasic, TLS: service.TLSUntrusted}
	imposter := service.Identity{Verdict: service.Refuted, At: noon.Add(-6 * time.Minute),
		Evidence: []string{`GET /api/health answered 200 with a page titled "Welcome to nginx!"`, "nothing that it answers is an answer of Grafana"}}
	victoria := service.Identity{Verdict: service.Refuted, Type: "victoriametrics", Product: "VictoriaMetrics", Version: "1.119.0", At: noon.Add(-6 * time.Minute),
		Evidence: []string{"the label app.kubernetes.io/name says prometheus", "GET /metrics has vm_app_version of VictoriaMetrics 1.119.0"}}
	silent := service.Identity{Verdict: service.Unverified, At: noon.Add(-2 * time.Minute), Evidence: []string{"GET /api/services: no answer within 3 s"}}
	return []made{
		{key: key("logging/elasticsearch-master"), kind: "elasticsearch", url: "https://elasticsearch-master.logging.svc.cluster.local:9200", checks: "+++++", latency: 8.4, id: basic},
		{key: key("logging/elasticsearch-master-headless"), kind: "elasticsearch", url: url("logging/elasticsearch-master-headless", "9200"), aliasOf: true},
		{key: key("logging/loki-gateway"), kind: "loki", url: url("logging/loki-gateway", "80"), checks: "+++++", latency: 2.1, id: tenant},
		{key: key("messaging/kafka-bootstrap"), kind: "kafka", url: "kafka-bootstrap.messaging.svc.cluster.local:9092", checks: "-----", reason: refused, id: service.Identity{Verdict: service.Unverified}},
		{key: key("monitoring/alertmanager"), kind: "alertmanager", url: url("monitoring/alertmanager", "9093"), checks: "+++++", latency: 1.2, id: verified("alertmanager", "Alertmanager", "0.28.1", "/api/v2/status")},
		{key: key("monitoring/grafana"), kind: "grafana", url: url("monitoring/grafana", "80"), checks: "++-++", reason: "status 502 Bad Gateway", latency: 3.6, id: verified("grafana", "Grafana", "12.1.0", "/api/health")},
		{key: key("monitoring/prometheus"), kind: "prometheus", url: url("monitoring/prometheus", "9090/prometheus"), checks: "+++++", latency: 1.4, id: prefixed},
		{key: key("monitoring/prometheus-operated"), kind: "prometheus", url: url("monitoring/prometheus-operated", "9090"), aliasOf: true},
		{key: key("monitoring/prometheus-federation"), kind: "prometheus", url: url("monitoring/prometheus-federation", "9090"), checks: "+++--", reason: "status 503 Service Unavailable, after 3 attempts", id: verified("prometheus", "Prometheus", "2.53.4", "/api/v1/status/buildinfo")},
		{key: key("shop/dashboard"), kind: "grafana", url: url("shop/dashboard", "3000"), checks: "+++++", latency: 0.8, id: imposter, off: true},
		{key: key("shop/metrics"), kind: "victoriametrics", url: url("shop/metrics", "8428"), checks: "+++++", latency: 0.9, id: victoria},
		{key: key("tracing/jaeger-query"), kind: "jaeger", url: url("tracing/jaeger-query", "16686"), checks: "-----", reason: "no answer within 3 s", id: silent},
		{key: key("tracing/tempo-distributed-query-frontend"), kind: "tempo", url: url("tracing/tempo-distributed-query-frontend", "3200"), checks: "+", latency: 4.2, id: verified("tempo", "Tempo", "2.8.1", "/api/status/buildinfo")},
		{key: key("tracing/zipkin"), kind: "zipkin", url: url("tracing/zipkin", "9411")},
	}
}

// many returns a cluster of n back ends.
func many(n int) []made {
	kinds := []string{"prometheus", "grafana", "loki", "tempo", "jaeger", "elasticsearch", "alertmanager", "victoriametrics", "mimir", "thanos", "zipkin", "kibana", "opensearch", "rabbitmq", "kafka", "pyroscope"}
	var all []made
	for i := range n {
		kind := kinds[(i*i+i/7)%len(kinds)]
		m := made{key: service.Key{Namespace: fmt.Sprintf("team-%03d", i/20), Name: fmt.Sprintf("%s-%05d", kind, i)}, kind: kind, checks: "+++++", latency: float64(i % 50)}
		m.url = fmt.Sprintf("http://%s.%s.svc.cluster.local:9090", m.key.Name, m.key.Namespace)
		m.id = verified(kind, strings.ToUpper(kind[:1])+kind[1:], "1.2.3", "/api/v1/status/buildinfo")
		switch {
		case i%11 == 0:
			m.checks, m.reason = "++---", refused
		case i%13 == 0:
			m.checks = ""
		}
		switch {
		case i%10 == 0:
			m.id = service.Identity{} // nobody asks it
		case i%5 == 0:
			m.id = service.Identity{Verdict: service.Unverified}
		case i%97 == 0:
			m.id.Verdict = service.Refuted
		}
		all = append(all, m)
	}
	return all
}

func fine() *State {
	return &State{
		Version: "1.4.0", Explains: true, Replica: "dynamic-toolset-6d5f7c9b8-x2k4q",
		Cluster:   Cluster{Name: "https://10.96.0.1:443"},
		Leader:    Leader{Self: "dynamic-toolset-6d5f7c9b8-x2k4q_51c0a9e1d2f3", Leads: true, Holder: "dynamic-toolset-6d5f7c9b8-x2k4q_51c0a9e1d2f3"},
		ConfigMap: ConfigMap{Name: "kubernaut-system/kubernaut-toolset-config", Outcome: "success", At: noon.Add(-4 * time.Minute)},
		Overrides: Overrides{Present: true},
	}
}

func troubled() *State {
	s := fine()
	s.Cluster.Problem, s.Cluster.Since = "Kubernetes has been unreachable for longer than 30 s.", noon.Add(-7*time.Minute)
	s.Leader = Leader{Self: "dynamic-toolset-6d5f7c9b8-x2k4q_51c0a9e1d2f3", Holder: "dynamic-toolset-6d5f7c9b8-m9w7r_0fb1c2d3e4f5"}
	s.ConfigMap.Outcome, s.ConfigMap.Failed = "forbidden", true
	s.Overrides = Overrides{Present: true, Mistakes: []service.Invalid{
		{Field: "toolsets[2].health", Message: `must be a path that begins with "/", not "ready" (line 14)`}, {Field: "toolsets[4]", Message: "has neither a service nor a url (line 21)"}}}
	s.Candidates = []Candidate{
		{Key: service.Key{Namespace: "shop", Name: "query-frontend"}, URL: "http://query-frontend.shop.svc.cluster.local:3100", Types: []string{"loki"}, Note: "not asked yet: 12 others come before it"},
		{Key: service.Key{Namespace: "team-data", Name: "metrics-store"}, URL: "http://metrics-store.team-data.svc.cluster.local:9090", Types: []string{"prometheus"}, Note: "GET /api/v1/status/buildinfo: 404 Not Found"},
	}
	return s
}

// explanationOf is a document as the API gives it.
func explanationOf() any {
	type object = map[string]any
	return object{
		"service": object{"namespace": "shop", "name": "query-frontend"}, "listed": false, "otherRules": 19,
		"outcome": "It is not listed: the metadata do not say which product it is. It is a candidate, and will be listed if it says so itself.",
		"steps": []object{
			{"rule": "loki", "outcome": "rejected", "for": []string{"the Service's name has query-frontend, a role of loki"}, "against": []string{"neither its selector nor a label names loki"},
				"ports": []object{{"port": "3100 (http)", "chosen": true, "text": "is a number at which loki answers queries"}, {"port": "9095 (grpc)", "text": "is a number at which loki answers no queries"}}},
			{"rule": "tempo", "outcome": "not tried", "for": []string{"the Service's name has query-frontend, a role of tempo"}, "against": []string{"no port is one at which tempo answers queries"}, "ports": []object{}},
			{"rule": "mimir", "outcome": "outranked", "for": []string{"the Service's name has query-frontend, a role of mimir"}, "against": []string{}, "ports": []object{}},
		},
		"annotations": []object{{"key": "kubernaut.io/toolset-type", "value": "Loki!", "problem": "is ignored: a type has lower-case letters, digits and hyphens"}},
		"overrides":   []object{{"entry": "toolsets[2]", "changes": []string{"disable: true"}, "effect": "changes nothing, as the Service is not listed"}},
		"asked":       []object{{"request": "GET http://query-frontend.shop.svc.cluster.local:3100/loki/api/v1/status/buildinfo", "answer": "404 Not Found"}},
		"primary":     object{"toolset": "logging/loki-gateway", "is": false, "reason": "the only one of this type"},
		"health":      object{"healthy": false, "reason": "not checked yet", "checks": "GET http://query-frontend.shop.svc.cluster.local:3100/ready"},
		"change": []object{{"how": "kubectl annotate service -n shop query-frontend --overwrite kubernaut.io/toolset-type=loki", "effect": "It is listed as loki, whatever its labels say.", "caution": "Nothing has shown that it is one."},
			{"how": "kubectl annotate service -n shop query-frontend --overwrite kubernaut.io/toolset=false", "effect": "It is asked no longer."}},
	}
}
