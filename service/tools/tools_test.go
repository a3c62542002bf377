package tools_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/tools"
)

var at = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// A world is a catalogue of back ends that are as their Services' labels say.
type world struct {
	testing.TB
	*catalogue.Catalogue
	services []*corev1.Service
}

func newWorld(t testing.TB) *world {
	return &world{TB: t, Catalogue: catalogue.New(func(s *corev1.Service) *service.Backend {
		b := &service.Backend{
			Key: service.Key{Namespace: s.Namespace, Name: s.Name}, Name: s.Name, Type: s.Labels["type"], Enabled: true, Labels: s.Labels,
			Endpoint: fmt.Sprintf("http://%s.%s.svc.cluster.local:9090", s.Name, s.Namespace), Description: "What " + s.Labels["type"] + " holds.",
			APIPath: s.Labels["path"], Standing: service.Standing{Scope: service.ScopeUnknown},
		}
		b.Primary = s.Labels["primary"] == "true"
		if s.Labels["scope"] == "bundled" {
			b.Standing = service.Standing{Scope: service.ScopeBundled, ScopeOf: "team"}
		}
		return b
	}, nil)}
}

func (w *world) add(namespace, name, typ string, labels ...string) service.Key {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"type": typ}}}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		s.Labels[k] = v
	}
	w.services = append(w.services, s)
	return service.Key{Namespace: namespace, Name: name}
}

func (w *world) view() *tools.View {
	if w.services != nil {
		w.Replace(w.services)
		w.services = nil
	}
	w.Build()
	return &tools.View{Snapshot: w.Snapshot(), Explain: explained}
}

func explained(_ context.Context, key service.Key) (*explain.Document, error) {
	switch key.Name {
	case "away":
		return nil, errors.New("https://10.0.0.1 is down")
	case "none":
		return nil, &tools.Refusal{Text: "There is no Service none."}
	}
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{"app": "prometheus"},
		Annotations: map[string]string{detect.AnnotationToolset: "yes"}}}
	s.Spec.Ports = []corev1.ServicePort{{Name: "web", Port: 9090}}
	x := detect.Default().Explain(s, detect.Options{})
	f := catalogue.Facts{Found: x.Result.Backend, Backend: x.Result.Backend}
	return explain.Explain(key, &x, &f), nil
}

// schemas has the input and the output schema of each tool.
var schemas = func() map[string][2]*jsonschema.Schema {
	var definitions []struct {
		Name                      string
		InputSchema, OutputSchema any
	}
	if err := json.Unmarshal(tools.Definitions(), &definitions); err != nil {
		panic(err)
	}
	all := map[string][2]*jsonschema.Schema{}
	for _, d := range definitions {
		var both [2]*jsonschema.Schema
		for i, doc := range []any{d.InputSchema, d.OutputSchema} {
			c := jsonschema.NewCompiler()
			c.DefaultDraft(jsonschema.Draft2020)
			if err := c.AddResource("schema.json", doc); err != nil {
				panic(err)
			}
			both[i] = c.MustCompile("schema.json")
		}
		all[d.Name] = both
	}
	return all
}()

// call calls a tool, and checks arguments and result by the schemas.
func (w *world) call(v *tools.View, name, arguments string) map[string]any {
	w.Helper()
	raw, err := v.Call(w.Context(), name, []byte(arguments))
	if err != nil {
		w.Fatalf("%s %s: %v", name, arguments, err)
	}
	var in, out any
	if err := errors.Join(json.Unmarshal([]byte(arguments), &in), json.Unmarshal(raw, &out)); err != nil {
		w.Fatal(err)
	}
	if err := schemas[name][0].Validate(in); err != nil {
		w.Errorf("%s accepts %s, which its schema does not: %v", name, arguments, err)
	}
	if err := schemas[name][1].Validate(out); err != nil {
		w.Errorf("%s %s answers %s: %v", name, arguments, raw, err)
	}
	return out.(map[string]any)
}

func (w *world) refusal(v *tools.View, name, arguments string) string {
	w.Helper()
	raw, err := v.Call(w.Context(), name, []byte(arguments))
	r, ok := errors.AsType[*tools.Refusal](err)
	if !ok {
		w.Fatalf("%s %s: %s %v", name, arguments, raw, err)
	}
	return r.Text
}

func TestDefinitions(t *testing.T) {
	var definitions []map[string]any
	if err := json.Unmarshal(tools.Definitions(), &definitions); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range definitions {
		names = append(names, d["name"].(string))
		if fmt.Sprint(d["annotations"]) != "map[idempotentHint:true openWorldHint:false readOnlyHint:true]" {
			t.Errorf("%s: %v", d["name"], d["annotations"])
		}
	}
	if fmt.Sprint(names) != fmt.Sprint(tools.Names) {
		t.Errorf("%v, want %v", names, tools.Names)
	}
}

// What agents pay for the tools: four bytes are about one token.
func TestTokens(t *testing.T) {
	if n := (len(tools.Definitions()) + len(tools.Instructions)) / 4; n > 1200 {
		t.Errorf("the definitions take %d tokens, more than 1,200", n)
	} else {
		t.Logf("the definitions take %d tokens", n)
	}
	w := newWorld(t)
	for _, b := range []string{
		"monitoring/kube-prometheus-stack-prometheus prometheus", "monitoring/kube-prometheus-stack-alertmanager alertmanager", "monitoring/kube-prometheus-stack-grafana grafana",
		"monitoring/thanos-query-frontend thanos-query", "monitoring/vmsingle-victoria-metrics-single-server victoriametrics", "logging/loki-gateway loki", "logging/opensearch-cluster-master opensearch",
		"logging/elasticsearch-es-http elasticsearch", "logging/kibana-kb-http kibana", "tracing/tempo-query-frontend tempo", "tracing/jaeger-query jaeger", "team-payments/prometheus-operated prometheus",
		"team-payments/rabbitmq rabbitmq", "kafka/my-cluster-kafka-bootstrap kafka", "istio-system/kiali kiali",
	} {
		key, typ, _ := strings.Cut(b, " ")
		namespace, name, _ := strings.Cut(key, "/")
		w.add(namespace, name, typ)
	}
	raw, err := w.view().Call(t.Context(), "list_backends", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	// It is sent twice: as structured content, and as text with its quotes escaped.
	if n := (2*len(raw) + bytes.Count(raw, []byte(`"`))) / 4; n > 1000 {
		t.Errorf("a list of 15 back ends takes %d tokens, more than 1,000", n)
	} else {
		t.Logf("a list of 15 back ends takes %d tokens", n)
	}
}

func TestListBackends(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 120 {
		k := w.add(fmt.Sprintf("ns-%d", i%3), fmt.Sprintf("b-%03d", i), []string{"loki", "tempo"}[i%2])
		if i == 0 {
			defer func() {
				w.SetHealth(k, service.Health{Healthy: true, CheckedAt: at})
				w.SetIdentity(k, service.Identity{Verdict: service.Verified, Type: "loki", Product: "Loki", Version: "3.5.0", URL: "http://b-000.ns-0.svc.cluster.local:9090", Access: service.Access{Scheme: "http"}, At: at})
				v := w.view()
				got := w.call(v, "list_backends", `{"verified":true,"healthy":true,"details":true}`)
				if s := fmt.Sprint(got); s != "map[backends:[map[description:What loki holds. healthy:true name:b-000 namespace:ns-0 product:Loki type:loki url:http://b-000.ns-0.svc.cluster.local:9090 verified:true version:3.5.0]] total:1]" {
					t.Error(s)
				}
				if got := w.call(v, "list_backends", `{"verified":false,"limit":1}`); got["total"] != 119.0 || got["continue"] == nil {
					t.Error(got)
				}
			}()
		}
	}
	v := w.view()
	for arguments, total := range map[string]float64{`{}`: 120, `{"type":"loki"}`: 60, `{"namespace":"ns-1","type":"tempo","verified":null}`: 20, `{"namespace":"nowhere"}`: 0, `{"healthy":true}`: 0} {
		if got := w.call(v, "list_backends", strings.ReplaceAll(arguments, `,"verified":null`, "")); got["total"] != total {
			t.Errorf("%s: %v of %v", arguments, got["total"], total)
		}
		if _, err := v.Call(t.Context(), "list_backends", []byte(arguments)); err != nil {
			t.Errorf("%s: %v", arguments, err)
		}
	}
	next := ""
	for range 99 {
		got := w.call(v, "list_backends", fmt.Sprintf(`{"limit":50,"continue":%q}`, next))
		for _, b := range got["backends"].([]any) {
			all = append(all, fmt.Sprint(b.(map[string]any)["name"]))
		}
		if next, _ = got["continue"].(string); next == "" {
			break
		}
	}
	if len(all) != 120 {
		t.Errorf("the pages have %d", len(all))
	}
	for arguments, want := range map[string]string{
		`{"typ":"loki"}`: `There is no argument "typ"; there are type, namespace, verified, healthy, details, limit, continue.`,
		`{"type":7}`:     "type must be a string", `{"healthy":"yes"}`: "healthy must be true or false", `{"limit":0}`: "limit must be an integer between 1 and 200",
		`{"limit":201}`: "between 1 and 200", `{"limit":1.5}`: "limit must be an integer", `{"limit":1e9999}`: "limit must be an integer",
		`{"continue":"x"}`: "not the one of an answer before", `{"type":"a","type":"b"}`: `"type" is there twice`, `{"Type":"loki"}`: `There is no argument "Type"`,
		`{"type":"` + strings.Repeat("x", 700) + `"}`: "longer than 640 bytes",
	} {
		if got := w.refusal(v, "list_backends", arguments); !strings.Contains(got, want) {
			t.Errorf("%.40s: %s", arguments, got)
		}
	}
}

func TestGetBackend(t *testing.T) {
	w := newWorld(t)
	k := w.add("monitoring", "main", "prometheus", "path=/prom")
	w.add("team-a", "other", "prometheus", "scope=bundled")
	w.add("team-a", "twice", "loki")
	w.add("team-b", "twice", "tempo")
	w.add("monitoring", "stream", "kafka")
	w.view()
	w.SetHealth(k, service.Health{Reason: strings.Repeat("refused ", 100), CheckedAt: at, History: []service.HealthCheck{{Healthy: true}}})
	w.SetIdentity(k, service.Identity{Verdict: service.Verified, Type: "prometheus", Product: "Prometheus", Version: "3.5.0", URL: "http://main.monitoring.svc.cluster.local:9090/prom", At: at,
		Access: service.Access{Scheme: "http", Path: "/prom", Auth: service.AuthBasic, Tenant: true}})
	o, wrong := overrides.Parse([]byte("toolsets:\n- name: other\n  namespace: team-a\n  disable: true\n  connection: {tenant: shop, usernameEnv: A_USER, passwordEnv: A_PASSWORD, tlsVerify: false}\n"))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	v := w.view()
	got := w.call(v, "get_backend", `{"name":"prometheus"}`)
	for member, want := range map[string]string{
		"name": "main", "namespace": "monitoring", "url": "http://main.monitoring.svc.cluster.local:9090/prom",
		"access":   "map[credentials:user name and password (HTTP Basic) path:/prom tenant:required: send the header X-Scope-OrgID tls:none]",
		"example":  "GET http://main.monitoring.svc.cluster.local:9090/prom/api/v1/query?query=up",
		"language": "PromQL", "identity": "map[askedAt:2026-11-29T12:00:00.000Z product:Prometheus verdict:verified version:3.5.0]",
		"alternatives": "[team-a/other]", "why": "it has said itself what it is, and team-a/other has not", "disabled": "<nil>", "warning": "<nil>",
	} {
		if s := fmt.Sprint(got[member]); s != want {
			t.Errorf("%s is %s, want %s", member, s, want)
		}
	}
	if h := got["health"].(map[string]any); h["healthy"] != false || len(h["reason"].(string)) > 310 || h["checkedAt"] != "2026-11-29T12:00:00.000Z" {
		t.Error(h)
	}
	if got := w.call(v, "get_backend", `{"name":"stream","namespace":"monitoring"}`); got["example"] != nil || got["why"] != nil {
		t.Error(got)
	}
	for arguments, want := range map[string]string{
		`{"name":"twice"}`:                      `"twice" stands for several back ends; choose one by its namespace: team-a/twice, team-b/twice.`,
		`{"name":"loky"}`:                       `No back end has the name or type "loky"; did you mean loki? list_backends lists all.`,
		`{"name":"main","namespace":"team-b"}`:  `No back end in the namespace "team-b" has the name or type "main"; elsewhere there are monitoring/main.`,
		`{"name":"team-b/main"}`:                `No back end in the namespace "team-b" has the name or type "main"; elsewhere there are monitoring/main.`,
		`{"name":"twice","namespace":"team-c"}`: `elsewhere there are team-a/twice, team-b/twice.`,
		`{"name":"metrics"}`:                    `No back end has the name or type "metrics"; it is a signal, for which find_backend finds one.`,
		`{}`:                                    "The argument name is missing",
		`{"name":""}`:                           "The argument name is missing",
		`{"name":"x","signal":"x"}`:             `There is no argument "signal"`,
	} {
		if got := w.refusal(v, "get_backend", arguments); !strings.Contains(got, want) {
			t.Errorf("%s: %s", arguments, got)
		}
	}
	// What other answers call it is understood.
	for _, arguments := range []string{`{"name":"team-a/other"}`, `{"name":"team-a/other (prometheus)"}`, `{"name":"team-a/other","namespace":"team-a"}`} {
		if got := w.call(v, "get_backend", arguments); got["name"] != "other" || got["namespace"] != "team-a" {
			t.Errorf("%s: %v", arguments, got)
		}
	}
	w.SetOverrides(o)
	v = w.view()
	v.StaleSince = at
	got = w.call(v, "get_backend", `{"name":"other"}`)
	if got["disabled"] == nil || got["warning"] != "The cluster could not be read since 2026-11-29T12:00:00.000Z; this may be out of date." {
		t.Error(got)
	}
	if a := fmt.Sprint(got["access"]); a != "map[credentials:in the environment variables A_USER (user name), A_PASSWORD (password), if you have these tenant:send the header X-Scope-OrgID: shop tls:none]" {
		t.Error(a)
	}
	// Agents are not told of it unless they ask for it.
	if got := w.call(v, "list_backends", `{"type":"prometheus"}`); got["total"] != 1.0 || got["warning"] == nil {
		t.Error(got)
	}
}

func TestFindBackend(t *testing.T) {
	w := newWorld(t)
	w.add("monitoring", "thanos", "thanos-query")
	main := w.add("monitoring", "main", "prometheus")
	near := w.add("payments", "own", "prometheus", "scope=bundled")
	w.add("shop", "logs", "loki", "scope=bundled")
	v := w.view()
	for arguments, want := range map[string]string{
		`{"signal":"metrics"}`:                          "monitoring/thanos; thanos-query comes before prometheus (monitoring/main), since nothing else decides; the only one of this type; [monitoring/main (prometheus)]",
		`{"signal":"metrics","namespace":"payments"}`:   "payments/own; it is in the namespace payments; the only one of this type in its namespace; [monitoring/thanos (thanos-query) monitoring/main (prometheus)]",
		`{"signal":"metrics","namespace":"monitoring"}`: "monitoring/thanos; it is in the namespace monitoring, and nothing better is elsewhere; thanos-query comes before prometheus (monitoring/main), since nothing else decides; the only one of this type; [monitoring/main (prometheus)]",
		`{"signal":"metrics","namespace":"elsewhere"}`:  "monitoring/thanos; none for metrics is in the namespace elsewhere; thanos-query comes before prometheus (monitoring/main), since nothing else decides; the only one of this type; [monitoring/main (prometheus)]",
		`{"signal":"logs","namespace":"payments"}`:      "shop/logs; none for logs is in the namespace payments, and nothing shows that this one covers it; the only one of this type; <nil>",
	} {
		got := w.call(v, "find_backend", arguments)
		if s := fmt.Sprintf("%s/%s; %v; %v", got["namespace"], got["name"], got["why"], got["alternatives"]); s != want {
			t.Errorf("%s:\n%s, want\n%s", arguments, s, want)
		}
	}
	// One that is down covers nothing.
	w.SetHealth(near, service.Health{CheckedAt: at, History: []service.HealthCheck{{Time: at}}})
	v = w.view()
	if got := w.call(v, "find_backend", `{"signal":"metrics","namespace":"payments"}`); got["name"] != "thanos" || !strings.HasPrefix(got["why"].(string), "payments/own has failed all of its last health checks, though it is in the namespace payments") || strings.Count(got["why"].(string), "payments/own has") != 1 {
		t.Error(got)
	}
	// The health of the others is told, so that an agent need not ask for each.
	w.SetHealth(main, service.Health{Healthy: true, CheckedAt: at, History: []service.HealthCheck{{Time: at, Healthy: true}}})
	v = w.view()
	if got := fmt.Sprint(w.call(v, "find_backend", `{"signal":"metrics","namespace":"payments"}`)["alternatives"]); got != "[payments/own (prometheus, unhealthy) monitoring/main (prometheus, healthy)]" {
		t.Error(got)
	}
	if got := fmt.Sprint(w.call(v, "get_backend", `{"name":"prometheus"}`)["alternatives"]); got != "[payments/own (unhealthy)]" {
		t.Error(got)
	}
	for _, name := range []string{"payments/own (prometheus, unhealthy)", "payments/own (unhealthy)"} {
		if got := w.call(v, "get_backend", fmt.Sprintf(`{"name":%q}`, name)); got["name"] != "own" {
			t.Error(got)
		}
	}
	// One that has proved itself comes first.
	w.SetIdentity(main, service.Identity{Verdict: service.Verified, Type: "prometheus", Product: "Prometheus", URL: "http://main.monitoring.svc.cluster.local:9090", Access: service.Access{Scheme: "http"}, At: at})
	if got := w.call(w.view(), "find_backend", `{"signal":"metrics"}`); got["name"] != "main" {
		t.Error(got)
	}
	for arguments, want := range map[string]string{
		`{"signal":"traces"}`: "No back end for traces is known; looked for tempo, jaeger, zipkin, quickwit. list_backends lists all.",
		`{"signal":"smells"}`: `"smells" is no signal; there are metrics, logs, traces, alerts, dashboards, messages.`,
		`{}`:                  "The argument signal is missing: one of metrics",
	} {
		if got := w.refusal(v, "find_backend", arguments); got != want && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", arguments, got)
		}
	}
}

func TestExplainService(t *testing.T) {
	w := newWorld(t)
	w.add("a", "b", "loki")
	v := w.view()
	got := w.call(v, "explain_service", `{"namespace":"monitoring","name":"x"}`)
	if got["listed"] != false || !strings.Contains(got["outcome"].(string), "of the type prometheus") || len(got["rules"].([]any)) == 0 {
		t.Error(got)
	}
	if s := fmt.Sprint(got["annotationsWithoutEffect"]); !strings.Contains(s, detect.AnnotationToolset+": it ") {
		t.Error(s)
	}
	if got := w.refusal(v, "explain_service", `{"namespace":"monitoring","name":"none"}`); got != "There is no Service none." {
		t.Error(got)
	}
	if got := w.refusal(v, "explain_service", `{"namespace":"monitoring"}`); !strings.Contains(got, "name is missing") {
		t.Error(got)
	}
	if raw, err := v.Call(t.Context(), "explain_service", []byte(`{"namespace":"m","name":"away"}`)); err == nil || raw != nil {
		t.Error(string(raw))
	} else if _, told := errors.AsType[*tools.Refusal](err); told {
		t.Error("the agent is told", err)
	}
	v.Explain = nil
	if got := w.refusal(v, "explain_service", `{"namespace":"monitoring","name":"x"}`); !strings.Contains(got, "no cluster") {
		t.Error(got)
	}
}

// Whatever an agent sends, the answer is an object that fits the schema, or a sentence.
func FuzzToolCalls(f *testing.F) {
	w := newWorld(f)
	for i := range 40 {
		w.add(fmt.Sprintf("ns-%d", i%3), fmt.Sprintf("b-%d", i%30), []string{"loki", "tempo", "prometheus", "grafana"}[i%4])
	}
	v := w.view()
	for i, name := range tools.Names {
		for _, arguments := range []string{`{}`, `{"type":"loki","limit":3,"continue":"YW5zLTAvYi0w"}`, `{"name":"loki","namespace":"ns-1"}`, `{"signal":"logs","namespace":"ns-2"}`, `{"name":"\ud800"}`, `[]`} {
			f.Add(uint8(i), arguments)
			_ = name
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, arguments string) {
		if !json.Valid([]byte(arguments)) {
			return
		}
		name := tools.Names[int(n)%len(tools.Names)]
		raw, err := v.Call(t.Context(), name, []byte(arguments))
		if err != nil {
			return
		}
		var out any
		if json.Unmarshal(raw, &out) != nil || bytes.ContainsAny(raw, "\n\r\t") {
			t.Fatalf("%s", raw)
		}
		if err := schemas[name][1].Validate(out); err != nil {
			t.Fatalf("%s %s answers %s: %v", name, arguments, raw, err)
		}
	})
}
