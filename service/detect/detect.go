// Package detect recognises the Kubernetes Services that are observability back
// ends which an agent can query, and says where exactly: which of a Service's
// ports answers queries, with which scheme, below which path, and how to find
// out whether it lives.
//
// A wrong entry sends an agent to the wrong place, so a Service is recognised
// only when who it is and where it listens agree:
//
//   - Who: words in what the Service selects (the pods decide what a Service
//     is), in its labels, and in its name, in this order of trust. A Service
//     named zipkin that selects app=jaeger is not Zipkin. The last word that
//     means something decides, as in English: prometheus-operator is an
//     operator, prometheus-operator-prometheus a Prometheus. What an instance
//     is called says who owns it and not what it is: a selector that names a
//     kind and nothing more is not contradicted by labels and names.
//   - Where: one of its ports must be the kind's query port, by number, by
//     target number or by name. The less sure who it is, the surer the port
//     must be. Some numbers prove a kind by themselves.
//
// docs/detection.md tells it in full.
//
// What the words and ports are is data: rules.yaml and words.yaml in this
// folder, and a user's file of the same form as rules.yaml. What a Service's
// annotations under kubernaut.io/ say has priority over both.
package detect

import (
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// Options are what rules can't know about the cluster.
type Options struct {
	// ClusterDomain is the DNS domain of the cluster's Services, which must be
	// a valid DNS name; "cluster.local" if empty.
	ClusterDomain string
}

// A Problem is something wrong with a Service's annotations that its owner
// should put right.
type Problem struct {
	Field   string // the annotation's key
	Message string // what is wrong and what to write instead
}

// A Result says what a Service is.
type Result struct {
	// Backend is the back end that the Service is; nil if it is none.
	Backend *service.Backend
	// Problems are what is wrong with the Service's annotations. There may be a
	// Backend nevertheless, which then doesn't use the wrong values.
	Problems []Problem
	// Rejected says why a Service that looks like a back end isn't listed as
	// one; empty if it doesn't look like one.
	Rejected string
}

// Default returns the built-in rules.
func Default() *Rules { return builtin() }

// Load returns the built-in rules merged with those of a user's file: its kinds
// are added, or replace or disable the built-in ones of the same type. The
// filename is for error messages only. An error lists everything that is wrong
// with the file, one line each.
func Load(user []byte, filename string) (*Rules, error) { return load(user, filename) }

// Identify says what svc is. It only reads svc, but the result shares its
// Labels map. It may be called from several goroutines at once.
func (r *Rules) Identify(svc *corev1.Service, o Options) Result { return r.identify(svc, o) }
