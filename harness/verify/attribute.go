package verify

import (
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// probeNear is the greatest distance in time from a moment to a probe that tells
	// about it. Probes are sent ten times a second.
	probeNear = 150 * time.Millisecond
	// routedAfter is for how long connections may still be sent to a pod that is gone:
	// kube-proxy updates its rules at most once a second, and a SYN that nobody answers
	// is sent again.
	routedAfter = 4 * time.Second
)

// attribute finds the pods of lost requests that no response names: behind a Service's
// address, the client can't tell which pod refused it. It is the one terminating pod
// that, when probed directly at that moment, did not answer either. If there is none,
// or more than one, the pod stays unknown.
func attribute(run *record.Run) {
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Failed() || r.Pod != "" {
			continue
		}
		var suspects []string
		for k := range run.Pods {
			if p := &run.Pods[k]; wasDeaf(p, r.Sent) || wasDeaf(p, r.End) {
				suspects = append(suspects, p.Name)
			}
		}
		if len(suspects) == 1 {
			r.Pod, r.Inferred = suspects[0], true
		}
	}
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
		if q := &p.Probes[i]; q.Status == 0 && at.Sub(q.At).Abs() <= probeNear {
			return true
		}
	}
	return false
}
