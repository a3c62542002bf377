package service

import corev1 "k8s.io/api/core/v1"

// Identify decides what a Kubernetes Service is; nil means not a back end.
type Identify func(*corev1.Service) *Backend

// A Prober checks the health of the catalogue's backends and reports to
// Catalogue.SetHealth.
type Prober interface {
	// Set adds an endpoint or changes how it is checked.
	Set(key Key, probe Probe, userEndpoint bool)
	// Remove ends the checks of an endpoint.
	Remove(key Key)
}

// A Replacement is a new state of a namespace or of the whole cluster, read
// piece by piece. It has no effect before Commit; one that is not to be may just
// be forgotten. It is used by one goroutine at a time.
type Replacement interface {
	// Add adds Services to the new state, or changes those that are in it.
	// Nothing is kept of those that are no back ends.
	Add(services []*corev1.Service)
	// Remove takes a Service out of the new state, which need not be in it.
	Remove(namespace, name string)
	// Join adds what another Replacement has, of another namespace. That one is
	// not used any longer.
	Join(other Replacement)
	// Commit makes the new state the state. What was known and is not in it is
	// gone; the health of the rest is kept.
	Commit()
}
