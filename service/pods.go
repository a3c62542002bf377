package service

import "maps"

// Pods says which pods a Service sends requests to, and at which port: Services of
// one namespace and type that send to the same pods and port are one back end.
type Pods struct {
	// Selector is the Service's selector; it is not empty.
	Selector map[string]string
	// Port is the number of the port that answers, at the pods; 0 if only its
	// name, PortName, is known.
	Port     int32
	PortName string
	// ServicePort is the Service's number of that port.
	ServicePort int32
	// Headless means that the Service has no address of its own.
	Headless bool
	// Operated means that an operator made the Service for its own use, as
	// prometheus-operated is made beside what a user asks for.
	Operated bool
	// Exposure is from where the Service can be reached.
	Exposure Exposure
}

// An Exposure orders the types of Services: of several, the plain one is the one
// that was made for clients inside the cluster.
type Exposure uint8

// The exposures.
const (
	ExposedInside Exposure = iota // ClusterIP
	ExposedOnNodes
	ExposedByLoadBalancer
)

// Equal reports whether both send to the same pods in the same way; either may be nil.
func (p *Pods) Equal(o *Pods) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Port == o.Port && p.PortName == o.PortName && p.ServicePort == o.ServicePort &&
		p.Headless == o.Headless && p.Operated == o.Operated && p.Exposure == o.Exposure && maps.Equal(p.Selector, o.Selector)
}
