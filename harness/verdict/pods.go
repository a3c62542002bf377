package verdict

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// readiness checks that readiness fails soon after SIGTERM, and from then on. Kubernetes
// takes a terminating pod out of the endpoints whatever it answers; what else asks, such
// as a load balancer with checks of its own, learns it only from the answer. So it is a
// warning, unless the rules are strict.
func (j *judge) readiness() record.Check {
	const name = "readiness fails once a pod is told to stop"
	bound := fmt.Sprintf("a failing status, such as 503, within %s of SIGTERM, and from then on", j.rules.ReadinessWithin)
	if !j.rules.Readiness {
		return notChecked(ReadinessID, name, bound, "no readiness endpoint was asked (see --readiness-path)")
	}
	if j.rules.PreStop && !slices.ContainsFunc(j.stopped, func(p *record.Pod) bool { return !p.Signalled.IsZero() }) {
		return notChecked(ReadinessID, name, bound, "when SIGTERM came after the preStop hook is not known (see --signal-line)")
	}
	return j.eachStopped(ReadinessID, name, bound, "did", func(f *finding, p *record.Pod) {
		f.mild = !j.rules.Strict
		failing, known, late, lateStatus := firstFailing(p), time.Time{}, time.Time{}, 0
		if failing != nil {
			known = failing.At.Add(failing.Took)
		}
		for _, probe := range p.Probes {
			if probe.Kind != record.Readiness || probe.Status == 0 || fails(probe.Status) {
				continue
			}
			switch {
			case failing != nil && probe.At.After(known):
				f.add("%s: status %d at %s, after it had failed", p.Name, probe.Status, j.since(probe.At))
				return
			case probe.At.Sub(p.TermBegan()) > j.rules.ReadinessWithin:
				late, lateStatus = probe.At, probe.Status
			}
		}
		switch {
		case !late.IsZero():
			f.add("%s: status %d, which is not failing, %s after %s", p.Name, lateStatus, ms(late.Sub(p.TermBegan())), toldBy(p))
		case failing == nil && !p.Exited.IsZero() && p.Exited.Sub(p.TermBegan()) < j.rules.ReadinessWithin:
			f.add("%s: never answered that it is not ready; it had ended %s after %s", p.Name, ms(p.Exited.Sub(p.TermBegan())), toldBy(p))
		case failing == nil:
			f.add("%s: never answered that it is not ready", p.Name)
		case failing.At.Sub(p.TermBegan()) > j.rules.ReadinessWithin:
			f.add("%s: first failing status %s after %s", p.Name, ms(failing.At.Sub(p.TermBegan())), toldBy(p))
		}
	})
}

// fails reports whether a readiness probe with this status fails: the kubelet takes 200 to
// 399 for success
// (https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/).
func fails(status int) bool {
	return status < http.StatusOK || status >= http.StatusBadRequest
}

// firstFailing returns the readiness probe whose failing status arrived first, or nil.
// Probes overlap on a busy host: a 200 that arrives after a 503 may belong to an earlier
// probe. So only probes sent after the first 503 arrived must fail.
func firstFailing(p *record.Pod) *record.Probe {
	var first *record.Probe
	for i := range p.Probes {
		probe := &p.Probes[i]
		if probe.Kind == record.Readiness && probe.Status != 0 && fails(probe.Status) &&
			(first == nil || probe.At.Add(probe.Took).Before(first.At.Add(first.Took))) {
			first = probe
		}
	}
	return first
}

// toldBy describes the moment that p.TermBegan returns.
func toldBy(p *record.Pod) string {
	switch {
	case !p.Signalled.IsZero():
		return "SIGTERM"
	case !p.Killing.IsZero():
		return "the kubelet began to end it"
	}
	return "its deletion (name the line that it logs at SIGTERM with --signal-line, to count from there)"
}

// liveness checks that liveness is 200 for as long as the pod answers. A kubelet does not
// ask pods that are to be deleted. What else asks, such as a supervisor in the pod, could
// end the container early. So it is a warning, unless the rules are strict.
func (j *judge) liveness() record.Check {
	const name, bound = "liveness holds until the listener is closed", "200 to every probe that was answered"
	if !j.rules.Liveness {
		return notChecked(LivenessID, name, bound, "no liveness endpoint was asked (see --liveness-path)")
	}
	return j.eachStopped(LivenessID, name, bound, "did", func(f *finding, p *record.Pod) {
		f.mild = !j.rules.Strict
		answered := false
		for _, probe := range p.Probes {
			switch {
			case probe.Kind != record.Liveness || probe.Status == 0:
			case probe.Status == http.StatusOK:
				answered = true
			default:
				f.add("%s: status %d at %s, %s", p.Name, probe.Status, j.since(probe.At), p.SinceStop(probe.At, ms))
				return
			}
		}
		if !answered {
			f.add("%s: no liveness probe was answered after it was told to stop", p.Name)
		}
	})
}

// refused checks that a pod accepts connections as long as an EndpointSlice lists it.
func (j *judge) refused() record.Check {
	const name, bound = "connections are taken until the endpoint is gone", "none refused while an EndpointSlice lists the pod; nodes may route to it a little longer"
	return j.eachStopped(RefusedID, name, bound, "did", func(f *finding, p *record.Pod) {
		for _, probe := range p.Probes {
			if probe.Refused && (p.EndpointGone.IsZero() || probe.At.Before(p.EndpointGone)) {
				when := "its endpoint was never seen to go"
				if !p.EndpointGone.IsZero() {
					when = fmt.Sprintf("%s before its endpoint was gone", ms(p.EndpointGone.Sub(probe.At)))
				}
				f.add("%s: refused at %s, %s (%s)", p.Name, j.since(probe.At), when, probe.Detail)
				return
			}
		}
	})
}

// sigkilled is the exit code of a process that SIGKILL ended: 128 + 9.
const sigkilled = 137

// grace checks that each pod ended by itself within its grace period.
func (j *judge) grace() record.Check {
	return j.eachStopped(GraceID, "pods end within their grace period", "no SIGKILL", "did", func(f *finding, p *record.Pod) {
		switch {
		case p.ExitCode != nil && *p.ExitCode == sigkilled:
			f.add("%s: killed (exit code 137) %s; its grace period, which a preStop hook is part of, is %s", p.Name, p.SinceStop(p.Exited, ms), p.Grace)
		case p.Exited.IsZero() && p.Gone.IsZero():
			f.add("%s: still there at the end of the run, %s", p.Name, p.SinceStop(j.run.Ended, ms))
		}
	})
}

// exitCode checks that each pod exited with 0. One that was killed fails this, too. No
// client sees it, and some servers that stop as they should end by the signal itself, such
// as Java's (143). So it is a warning, unless the rules are strict.
func (j *judge) exitCode() record.Check {
	return j.eachStopped(ExitCodeID, "pods exit with code 0", "0", "did", func(f *finding, p *record.Pod) {
		f.mild = !j.rules.Strict
		switch {
		case p.ExitCode == nil:
			f.add("%s: its exit code was not seen", p.Name)
		case *p.ExitCode != 0:
			f.add("%s: exit code %d (%s)", p.Name, *p.ExitCode, p.Reason)
		}
	})
}

// milestones checks that each pod logged the lines of the shutdown sequence, in order.
func (j *judge) milestones() record.Check {
	const name, bound = "the shutdown sequence is logged in order", "each DD-007 line, once"
	if len(j.rules.Milestones) == 0 {
		return notChecked(MilestonesID, name, bound, "not asked for")
	}
	return j.eachStopped(MilestonesID, name, bound, "did", func(f *finding, p *record.Pod) {
		var got []string
		for _, line := range p.Milestones {
			for _, m := range j.rules.Milestones {
				if strings.Contains(line.Text, m) {
					got = append(got, m)
				}
			}
		}
		for i, want := range j.rules.Milestones {
			if i >= len(got) {
				why := ""
				if p.LogProblem != "" {
					why = " (" + p.LogProblem + ")"
				}
				f.add("%s: no line %q%s", p.Name, want, why)
				return
			}
			if got[i] != want {
				f.add("%s: %q where %q should be", p.Name, got[i], want)
				return
			}
		}
		if len(got) > len(j.rules.Milestones) {
			f.add("%s: %q once more", p.Name, got[len(j.rules.Milestones)])
		}
	})
}

// restarts checks that no container ended by itself.
func (j *judge) restarts() record.Check {
	f := j.finding()
	for i := range j.run.Pods {
		if p := &j.run.Pods[i]; p.Restarts > 0 {
			f.add("%s: restarted %d times", p.Name, p.Restarts)
		}
	}
	return f.check(RestartsID, "no container is restarted", "0 restarts", fmt.Sprintf("%d of %d pods restarted", f.wrong, len(j.run.Pods)))
}
