package detect

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

const defaultClusterDomain = "cluster.local"

// A builder holds the parts of a Backend.
type builder struct {
	rules    *Rules
	svc      *corev1.Service
	kind     *kind  // nil if the rules don't know the type
	typ      string // from the annotation, or of the kind
	host     string // the Service's DNS name
	endpoint string // empty if there is no usable port
	apiPath  string
	prefix   string // the part of apiPath that the workload says
	// given means that an annotation of ours has the endpoint with its path.
	given     bool
	transport string              // of an MCP server
	front     bool                // as in finding
	port      *corev1.ServicePort // the port that answers; nil if none does
	evidence  []string
}

// builder determines type and endpoint. Those in d take precedence over those that the
// rules found.
func (r *Rules) builder(svc *corev1.Service, o Options, d *declaration, f *finding, seen *pods) *builder {
	b := &builder{rules: r, svc: svc, kind: f.kind, typ: customType, front: f.front, evidence: f.evidence}
	b.host = hostOf(svc, o)
	ch := f.choice
	if f.kind != nil {
		b.typ = f.kind.typ
	}
	if d.on {
		b.evidence = append(b.evidence, "annotation "+AnnotationToolset)
	}
	if d.typ != "" && d.typ != b.typ {
		b.typ, b.kind, b.front = d.typ, r.byType[d.typ], false
		b.evidence = append(b.evidence, "annotation "+AnnotationType)
		if b.kind != nil {
			ch = r.choose(b.kind, svc)
		}
	}
	if ch.port == nil {
		why := ", its most HTTP-like"
		if ch = mostHTTP(svc); b.kind == nil && endpoint.HasOwnProtocol(b.typ) {
			ch, why = ofOwnProtocol(svc), ", as "+b.typ+" has a protocol of its own"
		}
		if ch.port != nil && d.endpoint == "" {
			b.evidence = append(b.evidence, "port "+ch.describe()+why)
		}
	}
	if b.kind != nil {
		b.apiPath = cmp.Or(ch.rule.apiPath, b.kind.apiPath)
	}
	b.port = ch.port
	switch {
	case d.endpoint != "":
		b.endpoint = d.endpoint
		b.evidence = append(b.evidence, "annotation "+AnnotationEndpoint)
		// If the kind's API is not at the root, the path in the annotation is that of the
		// API, and the health path stays below the root.
		if root, path := splitPath(b.endpoint); path != "" && b.apiPath != "" {
			b.endpoint, b.apiPath, b.given = root, path, true
		}
	case ch.port != nil:
		scheme := b.scheme(ch)
		if name := externalName(svc); name != "" && scheme == "https" {
			b.host = name // the name in the certificate
		}
		b.endpoint = scheme + "://" + b.host + ":" + strconv.Itoa(int(ch.number))
		b.addPrefix(seen)
	}
	b.readMCP()
	return b
}

// addPrefix adds the path below which the workload says that its server answers.
func (b *builder) addPrefix(seen *pods) {
	if b.kind == nil || !strings.HasPrefix(b.endpoint, "http") || b.kind.identity != nil && b.kind.identity.MCP {
		return
	}
	prefix, from := seen.prefix(b.kind, b.port)
	if prefix == "" {
		return
	}
	b.prefix, b.apiPath = prefix, prefix+b.apiPath
	b.evidence = append(b.evidence, fmt.Sprintf("path %s, as %s says", prefix, from))
}

// hostOf returns the DNS name of svc.
func hostOf(svc *corev1.Service, o Options) string {
	return svc.Name + "." + cmp.Or(svc.Namespace, "default") + ".svc." + cmp.Or(o.ClusterDomain, defaultClusterDomain)
}

// externalName returns the name that an ExternalName Service stands for; empty for another
// Service, or an invalid name.
func externalName(svc *corev1.Service) string {
	name := strings.TrimSuffix(svc.Spec.ExternalName, ".")
	if svc.Spec.Type != corev1.ServiceTypeExternalName || !endpoint.IsSubdomain(name) {
		return ""
	}
	return name
}

// splitPath splits a canonical URL before its path.
func splitPath(endpoint string) (root, path string) {
	host := strings.Index(endpoint, "://") + len("://")
	if i := strings.IndexByte(endpoint[host:], '/'); i >= 0 {
		return endpoint[:host+i], endpoint[host+i:]
	}
	return endpoint, ""
}

func (b *builder) scheme(ch choice) string {
	scheme := "http"
	if b.kind != nil {
		scheme = cmp.Or(ch.rule.scheme, b.kind.scheme)
	}
	if scheme == "http" && ch.fit == fitName && slices.Contains(strings.Split(ch.port.Name, "-"), "grpc") {
		return "grpc"
	}
	if b.kind == nil {
		if speaks := ownProtocol(ch.port); speaks == yes || speaks == unknown && endpoint.HasOwnProtocol(b.typ) {
			return "tcp"
		}
	}
	if scheme == "http" && b.rules.isTLS(b.svc, ch.port) {
		return "https"
	}
	return scheme
}

func (b *builder) backend(name string, d *declaration) *service.Backend {
	return &service.Backend{
		Key:         service.Key{Namespace: cmp.Or(b.svc.Namespace, "default"), Name: b.svc.Name},
		Name:        name,
		Type:        b.typ,
		Enabled:     true,
		Primary:     d.primary,
		Endpoint:    b.endpoint,
		APIPath:     b.apiPath,
		Prefix:      b.prefix,
		Transport:   b.transport,
		Connection:  d.connectionForAgents(),
		Description: b.description(d),
		Probe:       b.probe(d),
		Declared:    d.on || d.any,
		Pods:        podsOf(b.svc, b.port, d.endpoint != ""),
		Standing:    standing(b.svc, b.typ, b.front),
		Created:     b.svc.CreationTimestamp.Time,
		Evidence:    b.evidence,
		Labels:      b.svc.Labels,
		Annotations: own(b.svc.Annotations),
	}
}

func (b *builder) description(d *declaration) string {
	switch {
	case d.description != "":
		return d.description
	case b.kind != nil:
		return b.kind.description
	}
	return "A service of type " + b.typ + " that its owner declared to be useful to agents."
}

// probe returns how to check the health. For a type that the rules don't know, without a
// health path, accepting a connection is enough, since any path might be wrong.
func (b *builder) probe(d *declaration) service.Probe {
	accept := []int(nil)
	if b.kind != nil {
		accept = b.kind.health.acceptStatus
	}
	switch {
	case strings.HasPrefix(d.health, "/"):
		base := b.endpoint                    // below which the path in the annotation is the whole
		if !strings.HasPrefix(base, "http") { // the kind does not speak HTTP
			base = "http" + base[strings.Index(base, "://"):]
		}
		return service.Probe{Kind: service.ProbeHTTP, URL: base + d.health, AcceptStatus: accept}
	case d.health != "":
		return service.Probe{Kind: service.ProbeHTTP, URL: d.health, AcceptStatus: accept}
	case b.kind == nil:
		return service.Probe{Kind: service.ProbeTCP, Address: endpoint.Address(b.endpoint)}
	}
	h := &b.kind.health
	if d.endpoint == "" && h.port != 0 {
		for i := range b.svc.Spec.Ports {
			if p := &b.svc.Spec.Ports[i]; p.Port == h.port || targetNumber(p) == h.port {
				return service.Probe{Kind: service.ProbeHTTP, AcceptStatus: accept,
					URL: "http://" + b.host + ":" + strconv.Itoa(int(reachable(b.svc, p))) + h.path}
			}
		}
	}
	if h.probe == service.ProbeTCP {
		return service.Probe{Kind: service.ProbeTCP, Address: endpoint.Address(b.endpoint)}
	}
	path := h.path
	if b.front && d.endpoint == "" {
		path = h.frontPath
	}
	return service.Probe{Kind: service.ProbeHTTP, URL: b.endpoint + b.prefix + path, AcceptStatus: accept}
}
