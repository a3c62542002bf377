package verify

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// probeNear is the greatest distance in time from a moment to a probe that tells
	// about it. Probes are sent ten times a second.
	probeNear = 150 * time.Millisecond
	// routedAfter is for how long a node may still send connections to a pod that has
	// left the endpoints or is gone: kube-proxy updates its rules at most once a second,
	// and a SYN that nobody answers is sent again.
	routedAfter = 4 * time.Second
	// sentAgain is when a packet of a new connection is no longer the first: a SYN that is
	// not answered is sent again after a second (RFC 6298, section 2.1), and may be sent
	// elsewhere then. A busy node says it a little later, not earlier.
	sentAgain = 900 * time.Millisecond
)

// A tracker knows to which pod connections were sent; see [conntrack.Trace].
type tracker interface {
	Find(port uint16, opened, ended time.Time) (conntrack.Flow, bool)
	Complete(opened, ended time.Time) bool
}

// An attribution finds the pods of requests that no response names: behind a Service's
// address, the client can't tell which pod refused it. The client's node can. What it
// does not know is a conclusion from what the pods did at that time, and called one.
type attribution struct {
	run    *record.Run
	trace  tracker // nil: there is none
	node   string  // of the client
	unsure int     // lost requests whose pod is not certain
}

func (a *attribution) all() {
	for i := range a.run.Requests {
		r := &a.run.Requests[i]
		if r.Pod == "" || r.Inferred {
			a.one(r)
		}
		if r.Failed() && (r.Pod == "" || r.PodBy == record.ByElimination) {
			a.unsure++
		}
	}
}

func (a *attribution) one(r *record.Request) {
	opened := r.Sent.Add(-r.ConnectionAge)
	near := func(*record.Pod) bool { return true }
	if port := portOf(r.Local); port != 0 && a.trace != nil {
		// A dial that times out may have begun with a packet that left no trace.
		if f, ok := a.trace.Find(port, opened, r.End); ok && !(r.Outcome == record.DialTimeout && f.At.Sub(opened) >= sentAgain) {
			if name := a.at(f.To.Addr(), f.At); name != "" {
				r.Pod, r.PodBy, r.Inferred = name, record.ByTracking, false
			}
			return // otherwise it was sent to what is no pod of the target
		}
		// What leaves a node is tracked. Only to its own pods no packet leaves it, and
		// one that is gone does not take it.
		if a.trace.Complete(opened, r.End) {
			near = func(p *record.Pod) bool { return p.Node == a.node }
			if r.Outcome == record.Refused && r.Pod == "" {
				r.NodeRefused = true
				r.Detail += "; its node refused it, and sent it to no pod"
				return
			}
		}
	}
	if !r.Failed() || r.Pod != "" {
		return
	}
	deaf := false
	for i := range a.run.Pods {
		p := &a.run.Pods[i]
		if !near(p) || !a.routed(p, opened) {
			continue
		}
		silent := wasDeaf(p, r.Sent) || wasDeaf(p, r.End)
		if silent || !isDial(r.Outcome) && wasStopping(p, r) {
			r.Suspects = append(r.Suspects, p.Name)
			deaf = silent
		}
	}
	if len(r.Suspects) == 1 && deaf {
		r.Pod, r.PodBy, r.Inferred, r.Suspects = r.Suspects[0], record.ByElimination, true, nil
	}
}

// at returns the pod that had an address at a time. Addresses are given again.
func (a *attribution) at(ip netip.Addr, at time.Time) string {
	name, created := "", time.Time{}
	for i := range a.run.Pods {
		p := &a.run.Pods[i]
		if own, err := netip.ParseAddr(p.IP); err == nil && own.Unmap() == ip && !p.Created.After(at) && !p.Created.Before(created) {
			name, created = p.Name, p.Created
		}
	}
	return name
}

func portOf(address string) uint16 {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

func isDial(o record.Outcome) bool {
	return o == record.Refused || o == record.DialTimeout || o == record.DialFailed
}

// routed reports whether a node may have sent a new connection to p at a time. If no
// pod is ready, nodes send to those that terminate.
func (a *attribution) routed(p *record.Pod, at time.Time) bool {
	end := p.Gone
	if !p.EndpointGone.IsZero() && slices.ContainsFunc(a.run.Pods, func(other record.Pod) bool { return other.ReadyAt(at) }) {
		end = p.EndpointGone
	}
	return !at.Before(p.Created) && (end.IsZero() || !at.After(end.Add(routedAfter)))
}

// wasDeaf reports whether p was terminating and answered nothing at a moment.
func wasDeaf(p *record.Pod, at time.Time) bool {
	if p.Deleted.IsZero() || at.Before(p.Deleted) || !p.Gone.IsZero() && at.After(p.Gone.Add(routedAfter)) {
		return false
	}
	if !p.Exited.IsZero() && at.After(p.Exited) {
		return true
	}
	for i := range p.Probes {
		if q := &p.Probes[i]; !q.Answered() && at.Sub(q.At).Abs() <= probeNear {
			return true
		}
	}
	return false
}

// wasStopping reports whether p was terminating while r was in flight.
func wasStopping(p *record.Pod, r *record.Request) bool {
	return !p.Deleted.IsZero() && !r.End.Before(p.Deleted) && (p.Gone.IsZero() || !r.Sent.After(p.Gone))
}
