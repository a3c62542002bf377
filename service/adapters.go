package service

import corev1 "k8s.io/api/core/v1"

// Identify returns what a Kubernetes Service is; nil if it is not a back end.
type Identify func(*corev1.Service) *Backend

// A Prober checks the health of the back ends in the catalogue, and reports the outcome to
// Catalogue.SetHealth.
type Prober interface {
	// Set adds an endpoint or changes how it is checked.
	Set(key Key, probe Probe)
	// Remove ends the checks of an endpoint.
	Remove(key Key)
}

// An Identifier asks back ends who they are, and reports the outcome to
// Catalogue.SetIdentity.
type Identifier interface {
	// Set adds an endpoint or changes what to ask it.
	Set(key Key, q Question)
	// Remove ends the questions to an endpoint.
	Remove(key Key)
	// Recovered tells that an endpoint is healthy which was not.
	Recovered(key Key)
}

// A Replacement is a new state of a namespace or of the whole cluster, read piece by piece.
// It has no effect until Commit; it may also be dropped. It is used by one goroutine at a
// time.
type Replacement interface {
	// Add adds Services to the new state, or replaces those that it has. Services that are
	// no back ends are not kept.
	Add(services []*corev1.Service)
	// Remove removes a Service from the new state; it need not be there.
	Remove(namespace, name string)
	// Join adds the content of another Replacement, of another namespace, which must not be
	// used afterwards.
	Join(other Replacement)
	// Commit makes the new state the current one: Services that are not in it are gone, and
	// the others keep their health.
	Commit()
}

// Workloads finds the workloads of Services. Its method may be called concurrently.
type Workloads interface {
	// Selected returns the workloads whose pods have all labels of selector, a Service's in
	// this namespace; always in the same order, and not more than some hundred. It returns
	// none for an empty selector, which selects nothing.
	Selected(namespace string, selector map[string]string) []*Workload
}
