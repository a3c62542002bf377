package detect

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// Annotations of other projects by which a Service says where its MCP server answers.
// Package cluster keeps them.
var (
	// kagent: go/core/internal/controller/translator/agent, which also knows the label.
	kagentPath      = "kagent.dev/mcp-service-path"
	kagentPort      = "kagent.dev/mcp-service-port"
	kagentTransport = "kagent.dev/mcp-service-protocol" // SSE or STREAMABLE_HTTP
	// kgateway and agentgateway: their guides to MCP servers.
	mcpPaths = []string{kagentPath, "agentgateway.dev/mcp-path", "kgateway.dev/mcp-path"}
)

// declaredAs returns the kind that the owner of svc declares it to be in the way of other
// projects, by the protocol of a port or by a label; -1 if none.
func (r *Rules) declaredAs(svc *corev1.Service) int16 {
	for _, k := range r.declarable {
		if k.declaration(svc) != "" {
			return k.id
		}
	}
	return -1
}

// declaration returns what declares svc to be of kind k, for people; empty if nothing does.
func (k *kind) declaration(svc *corev1.Service) string {
	for i := range svc.Spec.Ports {
		if p := &svc.Spec.Ports[i]; k.speaks(p) && isTCP(p) {
			return "the protocol " + *p.AppProtocol + " of port " + strconv.Itoa(int(p.Port))
		}
	}
	if key := k.declaringLabel(svc); key != "" {
		return "label " + key + "=" + svc.Labels[key]
	}
	return ""
}

// declaringLabel returns the key of the label that declares svc; empty if there is none.
func (k *kind) declaringLabel(svc *corev1.Service) string {
	for _, l := range k.labels {
		if v, ok := svc.Labels[l.key]; ok && v == l.value {
			return l.key
		}
	}
	return ""
}

// speaks reports whether the appProtocol of p is that of the kind.
func (k *kind) speaks(p *corev1.ServicePort) bool {
	return p.AppProtocol != nil && slices.ContainsFunc(k.appProtocols, func(s string) bool { return strings.EqualFold(s, *p.AppProtocol) })
}

func isTCP(p *corev1.ServicePort) bool {
	return p.Protocol != corev1.ProtocolUDP && p.Protocol != corev1.ProtocolSCTP && p.Port >= 1 && p.Port <= 65535
}

// declaredPort returns the port of a Service that is declared; nil if it is not, or has no
// TCP port. kagent takes the port of its annotation, else the only one, else that with the
// protocol.
func (k *kind) declaredPort(svc *corev1.Service) *corev1.ServicePort {
	if len(k.appProtocols)+len(k.labels) == 0 || k.declaration(svc) == "" {
		return nil
	}
	if number := svc.Annotations[kagentPort]; number != "" && k.identity != nil && k.identity.MCP {
		for i := range svc.Spec.Ports {
			if p := &svc.Spec.Ports[i]; isTCP(p) && strconv.Itoa(int(p.Port)) == number {
				return p
			}
		}
	}
	for i := range svc.Spec.Ports {
		if p := &svc.Spec.Ports[i]; isTCP(p) && k.speaks(p) {
			return p
		}
	}
	for i := range svc.Spec.Ports {
		if p := &svc.Spec.Ports[i]; isTCP(p) && k.portName(p) >= 0 {
			return p
		}
	}
	return mostHTTP(svc).port
}

// readMCP sets the path and the transport of an MCP server from the annotations of other
// projects. A path that can't be one is ignored.
func (b *builder) readMCP() {
	if b.kind == nil || b.kind.identity == nil || !b.kind.identity.MCP {
		return
	}
	for _, key := range mcpPaths {
		path := b.svc.Annotations[key]
		if path != "" && endpoint.PathProblem(path) == "" && !b.given {
			b.apiPath = strings.TrimRight(path, "/")
			break
		}
	}
	// The usual path of the old transport also says which it is.
	if b.svc.Annotations[kagentTransport] == "SSE" || strings.HasSuffix(b.apiPath, "/sse") {
		b.transport = service.TransportSSE
	}
}
