// Package service has the nouns of the dynamic toolset service, and the interfaces that
// adapters of a cluster and of back ends fill. It knows neither HTTP nor a Kubernetes client,
// and none of the packages below it.
//
// What is done with them is in packages of their own. Package detect makes back ends of
// Services; overrides changes them; aliases finds those that are one; package health checks
// them. Package catalogue keeps the state, and package snapshot makes of it what lookups
// read. The packages below output know the documents for agents.
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

// Health is what the health checker last found out about one endpoint. The
// zero value means "not checked yet".
type Health struct {
	// Healthy is true only when the last check succeeded.
	Healthy bool
	// Reason says in one sentence why Healthy has its value. It never holds
	// unescaped or unbounded output of the endpoint.
	Reason string
	// CheckedAt is the time of the last check; zero if there was none.
	CheckedAt time.Time
	// History holds the last few checks, newest first.
	History []HealthCheck
}

// A HealthCheck is the outcome of one health check with all its attempts.
type HealthCheck struct {
	Time      time.Time `json:"time"`
	Healthy   bool      `json:"healthy"`
	Reason    string    `json:"reason"`
	LatencyMS float64   `json:"latencyMs"` // of the last attempt, milliseconds
	Attempts  int       `json:"attempts"`
}

// A Probe says how to find out whether a back end is healthy.
type Probe struct {
	// Kind is "http" (a GET that must answer 2xx) or "tcp" (a connection that
	// must be accepted, for back ends without an HTTP API, such as Kafka).
	Kind string
	// URL is what to GET for kind http, complete with scheme and path.
	URL string
	// AcceptStatus lists status codes besides 2xx that prove a back end alive,
	// such as 401 from one that wants credentials.
	AcceptStatus []int
	// Address is host:port to connect to for kind tcp.
	Address string
}

// Equal reports whether two probes ask the same.
func (p Probe) Equal(o Probe) bool {
	return p.Kind == o.Kind && p.URL == o.URL && p.Address == o.Address && slices.Equal(p.AcceptStatus, o.AcceptStatus)
}

// Probe kinds.
const (
	ProbeHTTP = "http"
	ProbeTCP  = "tcp"
)

// A Backend is one observability back end found in a cluster: a Kubernetes
// Service recognised by a rule, or declared by annotations.
type Backend struct {
	// Key is the Kubernetes Service it was found in.
	Key Key
	// Name is the wanted toolset name: the Service's, or that of the
	// annotation kubernaut.io/toolset-name.
	Name string
	// Type is the kind of back end: "prometheus", "grafana", ..., or "custom".
	Type string
	// Enabled is false for a toolset that stays listed, but not in the document
	// for agents. Package detect makes none: what an annotation switches off is
	// no Backend at all.
	Enabled bool
	// Primary marks the preferred back end of its type, which a lookup by type
	// finds although there are several (kubernaut.io/toolset-primary).
	Primary bool
	// Pinned means that an administrator made it Primary (see Overrides): it is
	// preferred to those that are Primary by annotation.
	Pinned bool
	// Endpoint is the base URL for clients inside the cluster, such as
	// http://prometheus.monitoring.svc.cluster.local:9090.
	Endpoint string
	// APIPath is the path below Endpoint at which the API answers, such as
	// "/prometheus" for Mimir; empty for most.
	APIPath string
	// Description is one sentence for the AI agent that reads the toolset.
	Description string
	// Probe says how to check its health.
	Probe Probe
	// UserEndpoint is true when the endpoint or health path came from an
	// annotation, or the Service stands for an external name: whoever may change
	// the Service chose where it leads.
	UserEndpoint bool
	// Declared means that somebody said something about this very Service, by
	// annotations or overrides: it is no mere alias of another.
	Declared bool
	// Pods is which pods it sends requests to; nil if its endpoint is another one.
	Pods *Pods
	// Standing orders the back ends of a type.
	Standing Standing
	// Created is when the Service was created; zero if that is not known.
	Created time.Time
	// Evidence lists what led to the recognition, for people who wonder.
	Evidence []string
	// Labels are the Service's labels.
	Labels map[string]string
	// Annotations are the Service's annotations under kubernaut.io/ only:
	// others may carry secrets.
	Annotations map[string]string
}

// Equal reports whether two backends are the same in everything that shows.
func (b *Backend) Equal(o *Backend) bool {
	return b.Key == o.Key && b.Name == o.Name && b.Type == o.Type && b.Enabled == o.Enabled && b.Primary == o.Primary && b.Pinned == o.Pinned &&
		b.Endpoint == o.Endpoint && b.APIPath == o.APIPath && b.Description == o.Description &&
		b.Probe.Equal(o.Probe) && b.UserEndpoint == o.UserEndpoint && b.Declared == o.Declared && b.Pods.Equal(o.Pods) &&
		b.Standing == o.Standing && b.Created.Equal(o.Created) && slices.Equal(b.Evidence, o.Evidence) &&
		maps.Equal(b.Labels, o.Labels) && maps.Equal(b.Annotations, o.Annotations)
}
