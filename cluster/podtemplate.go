package cluster

import (
	"kubernaut.io/dynamic-toolset/service"
)

// Bounds on what is kept of a workload, far above what any has. The rest is as if it were
// not there.
const (
	maxContainers     = 50
	maxContainerPorts = 50
	maxImage          = 512 // bytes; the longest valid name with tag and digest is shorter
	maxLabelKey       = 317 // bytes: a prefix of 253, a slash and a name of 63
	maxLabelValue     = 63
)

// Workload makes w smaller where it exceeds what any workload has, and returns it; nil if
// no Service can select its pods, or if they run nothing.
func Workload(w service.Workload) *service.Workload {
	for k, v := range w.Labels {
		if len(k) > maxLabelKey || len(v) > maxLabelValue {
			// No API server accepts it in a selector. The map may be somebody else's.
			kept := make(map[string]string, len(w.Labels))
			for k, v := range w.Labels {
				if len(k) <= maxLabelKey && len(v) <= maxLabelValue {
					kept[k] = v
				}
			}
			w.Labels = kept
			break
		}
	}
	w.Containers = w.Containers[:min(len(w.Containers), maxContainers)]
	for i := range w.Containers {
		c := &w.Containers[i]
		c.Ports = c.Ports[:min(len(c.Ports), maxContainerPorts)]
		if len(c.Image) > maxImage {
			c.Image = ""
		}
	}
	if len(w.Labels) == 0 || len(w.Containers) == 0 {
		return nil
	}
	return &w
}
