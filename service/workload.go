package service

import (
	"maps"
	"slices"
)

// A Workload is an object that makes pods, such as a Deployment, or the custom resource of
// an operator that does. It has just what tells which Services select its pods and what
// these run. It must not be changed once others have it.
type Workload struct {
	Kind string // such as "Deployment"
	Key  Key
	// Part tells the Workloads of one object apart that makes different pods; empty for
	// most.
	Part string
	// Labels are those of the pods.
	Labels     map[string]string
	Containers []Container
}

// A Container is one container of a pod.
type Container struct {
	Image string // as in the manifest
	Ports []ContainerPort
	// Prefix is the path below which its server answers, such as "/prometheus", as far as
	// the manifest says; empty for the root.
	Prefix string
}

// A ContainerPort is a TCP port that a container declares. It need not declare those at
// which it listens.
type ContainerPort struct {
	Name   string // may be empty
	Number int32
}

// String returns a description for people, such as "Deployment monitoring/grafana".
func (w *Workload) String() string {
	s := w.Kind + " " + w.Key.String()
	if w.Part != "" {
		s += " (" + w.Part + ")"
	}
	return s
}

// Equal reports whether w and o are equal in all fields. Both may be nil.
func (w *Workload) Equal(o *Workload) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.Kind == o.Kind && w.Key == o.Key && w.Part == o.Part && maps.Equal(w.Labels, o.Labels) &&
		slices.EqualFunc(w.Containers, o.Containers, func(a, b Container) bool {
			return a.Image == b.Image && a.Prefix == b.Prefix && slices.Equal(a.Ports, b.Ports)
		})
}
