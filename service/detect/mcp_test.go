package detect

import (
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// Where an MCP server answers, by the annotations of kagent, of the gateways and of ours.
func TestMCPServers(t *testing.T) {
	for _, c := range []struct{ what, manifest, url, transport string }{
		{"kagent's chart", `{metadata: {name: q, namespace: ns, labels: {kagent.dev/mcp-service: "true"}}, spec: {ports: [{port: 8080}]}}`, "http://q.ns.svc.cluster.local:8080/mcp", ""},
		{"kagent's path, port and transport", `{metadata: {name: q, namespace: ns, labels: {kagent.dev/mcp-service: "true"}, annotations: {kagent.dev/mcp-service-path: /tools/events, kagent.dev/mcp-service-port: "81", kagent.dev/mcp-service-protocol: SSE}}, spec: {ports: [{port: 80}, {port: 81}]}}`,
			"http://q.ns.svc.cluster.local:81/tools/events", service.TransportSSE},
		{"a transport that kagent takes for the usual one", `{metadata: {name: q, namespace: ns, annotations: {kagent.dev/mcp-service-protocol: sse}}, spec: {ports: [{port: 8080, appProtocol: mcp}]}}`, "http://q.ns.svc.cluster.local:8080/mcp", ""},
		{"a path of the old transport", `{metadata: {name: q, namespace: ns, annotations: {agentgateway.dev/mcp-path: /sse}}, spec: {ports: [{port: 8080, appProtocol: agentgateway.dev/mcp}]}}`, "http://q.ns.svc.cluster.local:8080/sse", service.TransportSSE},
		{"a path with a slash", `{metadata: {name: q, namespace: ns, annotations: {kgateway.dev/mcp-path: /mcp/v2/}}, spec: {ports: [{port: 8080, appProtocol: kgateway.dev/mcp}]}}`, "http://q.ns.svc.cluster.local:8080/mcp/v2", ""},
		{"the root", `{metadata: {name: q, namespace: ns, annotations: {kgateway.dev/mcp-path: /}}, spec: {ports: [{port: 8080, appProtocol: kgateway.dev/mcp}]}}`, "http://q.ns.svc.cluster.local:8080", ""},
		{"a path that is none", `{metadata: {name: q, namespace: ns, annotations: {kgateway.dev/mcp-path: "/a?b={{ env.X }}"}}, spec: {ports: [{port: 8080, appProtocol: kgateway.dev/mcp}]}}`, "http://q.ns.svc.cluster.local:8080/mcp", ""},
		{"a port that it has not", `{metadata: {name: q, namespace: ns, labels: {kagent.dev/mcp-service: "true"}, annotations: {kagent.dev/mcp-service-port: "99"}}, spec: {ports: [{port: 9090, name: metrics}, {port: 81, name: mcp}]}}`, "http://q.ns.svc.cluster.local:81/mcp", ""},
		{"TLS", `{metadata: {name: q, namespace: ns}, spec: {ports: [{name: https, port: 8443, appProtocol: mcp}]}}`, "https://q.ns.svc.cluster.local:8443/mcp", ""},
		{"our annotations", `{metadata: {name: q, namespace: ns, annotations: {kubernaut.io/toolset: "true", kubernaut.io/toolset-type: mcp}}, spec: {ports: [{port: 9090, name: metrics}, {port: 8000}]}}`, "http://q.ns.svc.cluster.local:8000/mcp", ""},
		{"our annotation with a path", `{metadata: {name: q, namespace: ns, annotations: {kubernaut.io/toolset: "true", kubernaut.io/toolset-type: mcp, kubernaut.io/toolset-endpoint: "http://q.ns:8000/api/mcp", kagent.dev/mcp-service-path: /other}}, spec: {ports: [{port: 8000}]}}`, "http://q.ns:8000/api/mcp", ""},
		{"words of another kind", `{metadata: {name: prometheus, namespace: ns, labels: {app: prometheus}}, spec: {selector: {app: prometheus}, ports: [{port: 9090, appProtocol: mcp}]}}`, "http://prometheus.ns.svc.cluster.local:9090/mcp", ""},
	} {
		b := Default().Identify(parse(t, c.manifest), Options{}).Backend
		if b == nil || b.Type != "mcp" || b.Endpoint+b.APIPath != c.url || b.Transport != c.transport || b.Probe.Kind != service.ProbeTCP {
			t.Errorf("%s: %+v, want %s %q", c.what, b, c.url, c.transport)
			continue
		}
		if q := Default().Question(b); len(q.URLs) != 1 || q.URLs[0] != c.url {
			t.Errorf("%s: asked at %q", c.what, q.URLs)
		}
	}
}

// What an MCP server has answered changes scheme, path and transport, and nothing that is
// fixed.
func TestMCPServersAreCorrected(t *testing.T) {
	b := Default().Identify(parse(t, `{metadata: {name: q, namespace: ns}, spec: {ports: [{port: 8080, appProtocol: mcp}]}}`), Options{}).Backend
	id := &service.Identity{Verdict: service.Verified, Type: "mcp", Access: service.Access{Scheme: "https", Path: "/sse", Transport: service.TransportSSE}}
	got := Default().Correct(b, id)
	if got.Endpoint+got.APIPath != "https://q.ns.svc.cluster.local:8080/sse" || got.Transport != service.TransportSSE || got.Probe.Address != "q.ns.svc.cluster.local:8080" {
		t.Errorf("%+v", got)
	}
	id.Access = service.Access{Scheme: "http", Path: "/mcp"}
	if Default().Correct(b, id) != b {
		t.Error("changed, though it answers where it is said to")
	}
	fixed := *b
	fixed.Fixed.Endpoint = true
	id.Access.Path = "/other"
	if Default().Correct(&fixed, id) != &fixed {
		t.Error("an administrator's address is changed")
	}
	id.Type, id.Access.Path = "prometheus", ""
	if got := Default().Correct(b, id); got.Type != "prometheus" || got.APIPath != "" || got.Probe.URL != "http://q.ns.svc.cluster.local:8080/-/healthy" {
		t.Errorf("as a Prometheus: %+v", got)
	}
}
