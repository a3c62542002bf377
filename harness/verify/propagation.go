package verify

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// propagation finds out for how long the load's node went on to send new connections to
// pods that had been told to stop. It returns nil if no pod was.
func (a *attribution) propagation(flows func(func(conntrack.Flow) bool)) *record.Propagation {
	p := &record.Propagation{Node: a.node}
	pods := map[string]*record.Pod{}
	for i := range a.run.Pods {
		if pod := &a.run.Pods[i]; !pod.Deleted.IsZero() && !pod.EndpointGone.IsZero() {
			pods[pod.Name] = pod
		}
	}
	if p.Pods = len(pods); p.Pods == 0 {
		return nil
	}
	flows(func(f conntrack.Flow) bool {
		if pod := pods[a.at(f.To.Addr(), f.At)]; pod != nil {
			p.AfterDeletion = max(p.AfterDeletion, f.At.Sub(pod.Deleted))
			p.AfterEndpoint = max(p.AfterEndpoint, f.At.Sub(pod.EndpointGone))
		}
		return true
	})
	return p
}

// advise says how long a pod should take new connections after it is told to stop: twice
// as long as was seen, and a second, since no run sees the longest.
func advise(p *record.Propagation) string {
	if p.AfterDeletion <= 0 {
		return fmt.Sprintf("The node %s sent no new connection to any of %s after their deletion was seen.", p.Node, count(p.Pods, "stopping pod"))
	}
	return fmt.Sprintf("The node %s sent the last new connection to a stopping pod %s", p.Node, lasted(p))
}

// adviseVia does so for a proxy, which may choose pods itself.
func adviseVia(p *record.Propagation) string {
	if p.AfterDeletion <= 0 {
		return fmt.Sprintf("The proxy opened no new connection to any of %s after their deletion was seen.", count(p.Pods, "stopping pod"))
	}
	return "The proxy opened the last new connection to a stopping pod " + lasted(p)
}

// lasted says how long that took, and what follows.
func lasted(p *record.Propagation) string {
	late := format.Duration(p.AfterEndpoint) + " after it had left the endpoints"
	if p.AfterEndpoint <= 0 {
		late = "none came after a pod had left the endpoints"
	}
	return fmt.Sprintf("%s after its deletion was seen (%s; the longest of %s). Here a pod should go on to take connections for at least %s after it is told to stop: twice as long, and a second. Nodes are later in a larger cluster.",
		format.Duration(p.AfterDeletion), late, count(p.Pods, "pod"), p.Wait())
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
