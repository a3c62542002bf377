// Package detect recognises the Kubernetes Services that are observability back ends which
// an agent can query. It determines which of a Service's ports answers queries, with which
// scheme and below which path, and how to check its health.
//
// A wrong entry sends an agent to the wrong place. So a Service is recognised only if what
// it is and where it listens agree:
//
//   - What it is follows from words in the Service's selector (which counts most, since the
//     pods decide), its labels, and its name. A Service called zipkin that selects
//     app=jaeger is not Zipkin. The last meaningful word decides, as in English:
//     prometheus-operator is an operator, prometheus-operator-prometheus is a Prometheus.
//     The name of an instance says who owns it, not what it is. So if the selector names a
//     kind and nothing else, labels and names can't contradict it.
//   - Where it listens must be the kind's query port, by the number of the Service's or the
//     container's port, or by name. The less certain the kind, the more certain the port
//     must be. Some port numbers prove a kind by themselves.
//
// docs/detection.md has the details.
//
// The words and ports are data, in rules.yaml and words.yaml; users can add a file of the
// same form as rules.yaml. A Service's annotations under kubernaut.io/ take precedence over
// both (annotations.go).
//
// [Rules.Identify] puts the steps together: it reads the words (words.go, identity.go),
// chooses the port (ports.go), decides (recognise.go) and builds the back end (backend.go).
// standing.go finds what helps to choose the primary of a type; it plays no part in the
// recognition.
package detect

import (
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// Options say what rules can't know about the cluster.
type Options struct {
	// ClusterDomain is the DNS domain of the cluster, a valid DNS name; cluster.local if
	// empty.
	ClusterDomain string
	// Workloads are those of the cluster, as evidence; nil if they are not known.
	Workloads service.Workloads
}

// A Problem is a mistake in a Service's annotations, which its owner should correct.
type Problem struct {
	Field   string // the key of the annotation
	Message string // what is wrong and what to write instead
}

// A Result says what a Service is, as returned by Rules.Identify.
type Result struct {
	// Backend is nil if the Service is no back end.
	Backend *service.Backend
	// Candidate is a Service that is no Backend, but may turn out to be one when it is
	// asked; nil if nothing points at that.
	Candidate *service.Backend
	// Problems are the mistakes in the annotations. The Backend, if there is one, does not
	// use the wrong values.
	Problems []Problem
	// Unread are annotations and labels that nobody reads, although their keys say that they
	// were meant for this service; at most a few.
	Unread []Problem
	// Rejected says why a Service that looks like a back end is not one; empty if it
	// doesn't look like one.
	Rejected string
}

// Default returns the built-in rules.
func Default() *Rules { return builtin() }

// Load returns the built-in rules together with those of a user's file. Its kinds are
// added, or they replace or disable the built-in ones of the same type. filename is for
// error messages only. An error lists all mistakes in the file, one per line.
func Load(user []byte, filename string) (*Rules, error) { return load(user, filename) }

// Identify says what svc is. It does not change svc, but the result shares its map of
// labels. It may be called concurrently.
func (r *Rules) Identify(svc *corev1.Service, o Options) Result { return r.identify(svc, o) }
