// Package service has the nouns of the dynamic toolset service, and the interfaces between
// them and the outside. It imports no HTTP server and no Kubernetes client, and none of the
// packages below it.
//
// A [Backend] is what was found in the cluster, a [Probe] how to check it, [Health] the
// outcome, a [Connection] what people say about how to connect to it, and a [Document] what
// agents read. The work is done by the packages below: detect recognises back ends in
// Services, overrides changes them, aliases finds those that are the same one, and health
// checks them. Package catalogue keeps the state, snapshot renders it for lookups, and those
// in output know the documents.
package service

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A Key names one object in a cluster.
type Key struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns "namespace/name", the form that kubectl and the logs use.
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Compare orders keys by namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// Health is what the last health checks of an endpoint have found. The zero value means
// that it was not checked yet.
type Health struct {
	// Healthy is true only when the last check succeeded.
	Healthy bool
	// Reason says in one sentence why Healthy has its value. It never has output of the
	// endpoint that is long or not escaped.
	Reason string
	// CheckedAt is the time of the last check; zero if there was none.
	CheckedAt time.Time
	// History holds the last few checks, newest first.
	History []HealthCheck
}

// A HealthCheck is the outcome of one health check, which may have taken several attempts.
type HealthCheck struct {
	Time      time.Time `json:"time"`
	Healthy   bool      `json:"healthy"`
	Reason    string    `json:"reason"`
	LatencyMS float64   `json:"latencyMs"` // of the last attempt, milliseconds
	Attempts  int       `json:"attempts"`
}

// A Probe says how to check the health of a back end.
type Probe struct {
	// Kind is ProbeHTTP (a GET must be answered with 2xx) or ProbeTCP (a connection must be
	// accepted, for back ends without an HTTP API, such as Kafka).
	Kind string
	// URL is the URL to GET, for ProbeHTTP.
	URL string
	// AcceptStatus lists status codes besides 2xx that prove a back end healthy, such as
	// 401 from one that requires credentials.
	AcceptStatus []int
	// Address is the host:port to connect to, for ProbeTCP.
	Address string
}

// Equal reports whether p and o make the same check.
func (p Probe) Equal(o Probe) bool {
	return p.Kind == o.Kind && p.URL == o.URL && p.Address == o.Address && slices.Equal(p.AcceptStatus, o.AcceptStatus)
}

// Kinds of probes.
const (
	ProbeHTTP = "http"
	ProbeTCP  = "tcp"
)

// A Backend is an observability back end that was found in a cluster: a Kubernetes Service
// that a rule recognised, or that annotations declare.
type Backend struct {
	// Key is that of the Kubernetes Service.
	Key Key
	// Name is the name that its toolset should have: that of the Service, or the value of
	// the annotation kubernaut.io/toolset-name.
	Name string
	// Type is the kind of back end: "prometheus", "grafana", ..., or "custom".
	Type string
	// Enabled is false for a toolset that is listed, but left out of the documents for
	// agents. Only overrides set it to false: a Service that an annotation switches off is
	// no Backend.
	Enabled bool
	// Primary marks the preferred back end of its type (kubernaut.io/toolset-primary),
	// which a lookup by type finds.
	Primary bool
	// Fixed says what an administrator's overrides have decided, which nothing else changes.
	Fixed Fixed
	// Pinned means that an override made it Primary. It is preferred to those that an
	// annotation marks.
	Pinned bool
	// Endpoint is the base URL for clients inside the cluster, such as
	// http://prometheus.monitoring.svc.cluster.local:9090.
	Endpoint string
	// APIPath is the path below Endpoint at which the API answers, such as
	// "/prometheus" for Mimir; empty for most.
	APIPath string
	// Prefix is that part of APIPath which is known only from the workload, such as
	// "/prom"; empty for most. Its answers have the last word (Identity).
	Prefix string
	// Transport says how an MCP server is spoken to: TransportSSE, or empty for streamable
	// HTTP, which is what all but old ones speak.
	Transport string
	// Connection is what people say about how to connect to it; nil for most.
	Connection *Connection
	// Description is one sentence for the AI agent that reads the toolset.
	Description string
	// Probe says how to check its health.
	Probe Probe
	// Declared means that annotations or overrides say something about this very Service.
	// So it is never a mere alias of another.
	Declared bool
	// Pods says which pods it sends requests to; nil if that is unknown.
	Pods *Pods
	// Standing helps to choose the primary of a type.
	Standing Standing
	// Created is when the Service was created; zero if unknown.
	Created time.Time
	// Evidence lists why it was recognised, for people.
	Evidence []string
	// Labels are the Service's labels.
	Labels map[string]string
	// Annotations are those of the Service under kubernaut.io/. Others are left out, since
	// they may hold secrets.
	Annotations map[string]string
	// Candidate is set for a Service that is not listed before it has said what it is. Then
	// it has no other fields but Key.
	Candidate *Candidate
}

// Fixed says which fields of a Backend are not to be changed by what it answers.
type Fixed struct{ Type, Enabled, Endpoint bool }

// Equal reports whether b and o are equal in all fields.
func (b *Backend) Equal(o *Backend) bool {
	return b.Key == o.Key && b.Name == o.Name && b.Type == o.Type && b.Enabled == o.Enabled && b.Primary == o.Primary && b.Pinned == o.Pinned &&
		b.Endpoint == o.Endpoint && b.APIPath == o.APIPath && b.Prefix == o.Prefix && b.Transport == o.Transport && b.Connection.Equal(o.Connection) && b.Description == o.Description &&
		b.Probe.Equal(o.Probe) && b.Declared == o.Declared && b.Pods.Equal(o.Pods) &&
		b.Standing == o.Standing && b.Fixed == o.Fixed && b.Created.Equal(o.Created) && slices.Equal(b.Evidence, o.Evidence) &&
		maps.Equal(b.Labels, o.Labels) && maps.Equal(b.Annotations, o.Annotations)
}
