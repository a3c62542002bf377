package verify

import (
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// probeNear is how near in time a probe must be to speak for a moment: they
	// are sent ten times a second.
	probeNear = 150 * time.Millisecond
	// routedAfter is for how long after a pod has gone connections may still be
	// sent to it: kube-proxy updates its rules at most once a second, and a SYN
	// that nobody answers is repeated.
	routedAfter = 4 * time.Second
)

// attribute finds the pods of lost requests that no response names: behind a
// Service's address, the client can't tell who refused it. It is the one pod that
// was told to stop and that, asked directly at that moment, didn't answer
// either; where there is no such pod or more than one, it stays unknown.
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

// wasDeaf says whether a pod that was told to stop answered nothing at a moment.
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
