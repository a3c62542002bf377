package transport

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/getkin/kin-openapi/openapi3"

	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// The table and the OpenAPI description have the same routes on the API port, and agree
// about callers and bodies.
func TestRoutesAreThoseOfOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Description)
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			described[method+" "+path] = operation
		}
	}
	s := lookupServer(t)
	for _, r := range s.apiRoutes() {
		name := r.method + " " + r.path
		operation := described[name]
		if operation == nil {
			t.Errorf("%s is not described", name)
			continue
		}
		delete(described, name)
		// Without a security of its own, an operation has that of the document, which
		// requires a token.
		if open := operation.Security != nil && len(*operation.Security) == 0; open != (r.who == everybody) {
			t.Errorf("%s is described as open to everybody: %v", name, open)
		}
		if operation.RequestBody == nil {
			if r.body != middleware.NoBody {
				t.Errorf("%s is described without its body", name)
			}
			continue
		}
		if types := slices.Collect(maps.Keys(operation.RequestBody.Value.Content)); r.body != middleware.JSONBody || !slices.Equal(types, []string{"application/json"}) {
			t.Errorf("%s is described with a body of %q", name, types)
		}
	}
	for name := range described {
		t.Errorf("%s is described, and there is no such route", name)
	}
}

// The table is consistent: each path is there once per method, and a route counts only as
// one that exists and has the same callers and the same right.
func TestRouteTable(t *testing.T) {
	s := lookupServer(t, func(o *Options) { o.Pprof = true })
	for port, routes := range map[string][]route{"API": s.apiRoutes(), "metrics": s.metricsRoutes()} {
		known := map[string]route{}
		for _, r := range routes {
			if _, twice := known[r.method+r.path]; twice || r.handler == nil {
				t.Errorf("%s port: %s %s is there twice, or does nothing", port, r.method, r.path)
			}
			known[r.method+r.path] = r
		}
		for _, r := range routes {
			if of, ok := known[get+r.pattern()]; r.as != "" && (!ok || of.as != "" || of.who != r.who || of.action() != r.action()) {
				t.Errorf("%s port: %s %s counts as %s, which is another kind of route", port, r.method, r.path, r.as)
			}
			if (r.who == operators) != (port == "metrics") {
				t.Errorf("%s port: %s is for others", port, r.path)
			}
		}
	}
}

// The order of the rows does not matter.
func TestRoutesInAnyOrder(t *testing.T) {
	s := lookupServer(t)
	table := s.apiRoutes()
	slices.Reverse(table)
	reversed := newPort(middleware.Options{
		Problem: s.problem, Metrics: middleware.NewMetrics(metrics.NewSet()), Bodies: middleware.NewBodies(1 << 20), ServedBy: s.opts.ServedBy, Log: s.log,
	}, s.opts.Limits, nil)
	reversed.use(table, s.pass)
	reversed.named.exists = s.api.Exists
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
		for _, r := range table {
			if r.path == watch.path && method == "GET" || r.method == post && method == "POST" {
				continue // a stream, and what has effects
			}
			path := strings.Replace(r.path, "{name}", "p7", 1)
			var answers []string
			for _, p := range []*port{s.apiPort, reversed} {
				ctx := request(path, "X-Request-ID", "same")
				ctx.Request.Header.SetMethod(method)
				p.chain.Handle(ctx)
				body := string(ctx.Response.Body())
				if r.html { // the page says what time it is
					body, _, _ = strings.Cut(body, "<time")
				}
				answers = append(answers, fmt.Sprint(ctx.Response.StatusCode(), " ", string(ctx.Response.Header.Peek("Allow")), " ", body))
			}
			if answers[0] != answers[1] {
				t.Errorf("%s %s:\n%s\nthe other way round:\n%s", method, path, answers[0], answers[1])
			}
		}
	}
}
