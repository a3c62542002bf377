package service

import "maps"

// Pods says which pods a Service sends requests to, and at which port. Services of one
// namespace and type that send to the same pods and port are one back end.
type Pods struct {
	// Selector is the Service's selector; never empty.
	Selector map[string]string
	// Port is the number of the port at the pods; 0 if only its name, PortName, is known.
	Port     int32
	PortName string
	// ServicePort is the number of that port at the Service.
	ServicePort int32
	// Headless means that the Service has no IP address of its own.
	Headless bool
	// Operated means that an operator made the Service for its own use, such as
	// prometheus-operated.
	Operated bool
	// Exposure says from where the Service can be reached.
	Exposure Exposure
}

// An Exposure is the type of a Service. Of several Services of one back end, the one with
// the lowest Exposure is preferred, as it was made for clients inside the cluster.
type Exposure uint8

// The exposures.
const (
	ExposedInside Exposure = iota // a ClusterIP
	ExposedOnNodes
	ExposedByLoadBalancer
)

// Equal reports whether p and o send requests to the same pods in the same way. Both may be
// nil.
func (p *Pods) Equal(o *Pods) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Port == o.Port && p.PortName == o.PortName && p.ServicePort == o.ServicePort &&
		p.Headless == o.Headless && p.Operated == o.Operated && p.Exposure == o.Exposure && maps.Equal(p.Selector, o.Selector)
}
