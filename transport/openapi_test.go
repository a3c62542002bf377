package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// Real responses, successful and not, match the served description.
func TestResponsesMatchOpenAPI(t *testing.T) {
	f := start(t, func(o *options) {
		o.Generate = func(context.Context) (string, error) { return "42", nil }
		o.Explain = explained
	})
	f.catalogue.SetHealth(service.Key{Namespace: "monitoring", Name: "prometheus"}, service.Health{
		Healthy: true, Reason: "fine", CheckedAt: time.Now(),
		History: []service.HealthCheck{{Time: time.Now(), Healthy: true, Reason: "fine", LatencyMS: 1.5, Attempts: 1}},
	})
	for _, name := range []string{"main", "main-headless"} {
		s := svc("monitoring", name, "loki")
		s.Spec.Selector = map[string]string{"app": "loki"}
		if name != "main" {
			s.Spec.ClusterIP = "None"
		}
		f.catalogue.Upsert(s)
	}
	for i := range 25 {
		f.catalogue.Upsert(svc("many", fmt.Sprintf("m%d", i), "many"))
	}
	o, wrong := overrides.Parse([]byte(`toolsets:
- name: prometheus
  namespace: monitoring
  connection: {tenant: a, headers: {X-A: b, X-B: {env: B}}, tlsVerify: true, caFile: /ca, externalUrl: "http://a", apiKeyEnv: A, urlEnv: U}
- name: grafana
  namespace: monitoring
  connection: {usernameEnv: A, passwordEnv: B}
- name: main
  namespace: monitoring
  connection: {bearerTokenEnv: A}
`))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	f.catalogue.SetOverrides(o)
	f.catalogue.Build()
	if got := getToolset(t, f, "many"); len(got.Alternatives) != 20 || got.AlternativesOmitted != 4 {
		t.Errorf("%+v", got)
	}

	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(f.do("GET", "/openapi.json", "").body)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("the description itself is not valid: %v", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("OpenAPI version %s", doc.OpenAPI)
	}
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	js := []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"GET", "/", "", []string{"Accept", "text/html"}, 200}, {"GET", "/?type=prometheus&page=2", "", nil, 200}, {"GET", "/?verdict=no", "", nil, 400}, {"GET", "/", "", []string{"Accept", "application/json"}, 404},
		{"GET", "/health", "", nil, 200}, {"GET", "/healthz", "", nil, 200}, {"GET", "/readyz", "", nil, 200}, {"GET", "/health/live", "", nil, 200}, {"GET", "/health/ready", "", nil, 200},
		{"GET", "/ready", "", nil, 200}, {"GET", "/version", "", nil, 200}, {"GET", "/openapi.json", "", nil, 200},
		{"GET", "/api/v1/toolsets", "", nil, 200}, {"GET", "/api/v1/toolsets?type=grafana&enabled=true&healthy=false&namespace=monitoring", "", nil, 200},
		{"GET", "/api/v1/toolsets?healthy=x", "", nil, 400},
		{"GET", "/api/v1/toolsets", "", []string{"If-None-Match", "*"}, 304},
		{"GET", "/api/v1/toolsets/prometheus", "", nil, 200}, {"GET", "/api/v1/toolsets/no", "", nil, 404}, {"GET", "/api/v1/toolsets/shared", "", nil, 409},
		{"GET", "/api/v1/toolsets/custom", "", nil, 200}, {"GET", "/api/v1/toolsets/main-headless", "", nil, 200}, {"GET", "/api/v1/toolsets/many", "", nil, 200},
		{"GET", "/api/v1/services", "", nil, 200}, {"GET", "/api/v1/services?namespace=team-a", "", nil, 200}, {"GET", "/api/v1/services?x=1", "", nil, 400},
		{"GET", "/api/v1/toolsets?limit=1", "", nil, 200}, {"GET", "/api/v1/services?limit=2&continue=", "", nil, 200}, {"GET", "/api/v1/services?limit=0", "", nil, 400},
		{"GET", "/api/v1/services/monitoring/prometheus/explain", "", nil, 200}, {"GET", "/api/v1/services/monitoring/full/explain", "", nil, 200},
		{"GET", "/api/v1/services/monitoring/none/explain", "", nil, 404}, {"GET", "/api/v1/services/monitoring/away/explain", "", nil, 503},
		{"GET", "/api/v1/services/monitoring/prometheus/explain?x=1", "", nil, 400}, {"GET", "/api/v1/services/elsewhere/prometheus/explain", "", nil, 200},
		{"GET", "/api/v1/toolset", "", nil, 200},
		{"POST", "/api/v1/discover", "", js, 202}, {"POST", "/api/v1/discover?wait=5s", "", js, 200}, {"POST", "/api/v1/discover?wait=x", "", js, 400},
		{"POST", "/api/v1/discover", "", nil, 415},
		{"POST", "/api/v1/toolsets/generate", "{}", js, 200}, {"POST", "/api/v1/toolsets/generate", "", nil, 415},
		{"POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_backends"}}`, js, 200},
		{"POST", "/mcp", `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":"x","method":"y"}]`, js, 200},
		{"POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, js, 202}, {"POST", "/mcp", `{`, js, 400}, {"POST", "/mcp", `{}`, nil, 415},
		{"POST", "/mcp", `{}`, append([]string{"Origin", "https://example.com"}, js...), 403},
		{"POST", "/mcp", stateless("ping", ""), append([]string{"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "ping"}, js...), 404},
		{"POST", "/api/v1/toolsets/validate", `{"tools":[{}]}`, js, 200}, {"POST", "/api/v1/toolsets/validate", "{", js, 400},
		{"GET", "/api/v1/toolsets?enabled=&healthy=", "", nil, 200},
	} {
		r := f.do(c.method, c.path, c.body, c.header...)
		if r.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d: %s", c.method, c.path, r.StatusCode, c.status, r)
			continue
		}
		req, err := http.NewRequest(c.method, c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		route, params, err := router.FindRoute(req)
		if err != nil {
			t.Errorf("%s %s is not described: %v", c.method, c.path, err)
			continue
		}
		err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
			Status:                 r.StatusCode, Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
		})
		if err != nil {
			t.Errorf("%s %s does not match the description: %v\n%s", c.method, c.path, err, r)
		}
	}
	// The types in the description are those of the registry.
	for _, ty := range problem.Types() {
		b := (&problem.Problem{Type: ty, Detail: "d", Instance: "/", RequestID: "r"}).JSON()
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas["Problem"].Value.VisitJSON(v); err != nil {
			t.Errorf("%s: %v", ty.Name, err)
		}
	}
}

// The filters of the page offer what the description allows, and each has an answer.
func TestThePagesFiltersAreDescribed(t *testing.T) {
	f := start(t, nil)
	doc, err := openapi3.NewLoader().LoadFromData(f.do("GET", "/openapi.json", "").body)
	if err != nil {
		t.Fatal(err)
	}
	described := map[string][]string{}
	for _, p := range doc.Paths.Value("/").Get.Parameters {
		for _, value := range p.Value.Schema.Value.Enum {
			described[p.Value.Name] = append(described[p.Value.Name], fmt.Sprint(value))
		}
	}
	root, err := html.Parse(bytes.NewReader(f.do("GET", "/", "", "Accept", "text/html").body))
	if err != nil {
		t.Fatal(err)
	}
	offered := map[string][]string{}
	for n := range root.Descendants() {
		if n.Data != "option" || n.Parent.Data != "select" {
			continue
		}
		name := attributeOf(n.Parent, "name")
		if value := attributeOf(n, "value"); value != "" && described[name] != nil {
			offered[name] = append(offered[name], value)
		}
	}
	if len(described) != 2 || !maps.EqualFunc(offered, described, slices.Equal[[]string]) {
		t.Errorf("offered are %v, described %v", offered, described)
	}
	for name, values := range described {
		for _, value := range values {
			if r := f.do("GET", "/?"+name+"="+value, ""); r.StatusCode != http.StatusOK {
				t.Errorf("%s=%s: %s", name, value, r)
			}
		}
	}
}

func attributeOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
