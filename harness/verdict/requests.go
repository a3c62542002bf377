package verdict

import (
	"fmt"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// requests checks that a class lost no request, in any phase. What only clients lose that
// don't look is a warning, unless the rules are strict.
func (j *judge) requests(class record.Class) record.Check {
	f := j.finding()
	total, blind := 0, 0
	for i := range j.run.Requests {
		r := &j.run.Requests[i]
		if r.Class != class {
			continue
		}
		total++
		if !r.Failed() {
			continue
		}
		if r.OnlyBlind() {
			blind++
		}
		f.add("%s", j.describe(r))
	}
	measured := fmt.Sprintf("%d of %d lost", f.wrong, total)
	switch {
	case blind > 0 && blind == f.wrong:
		measured += ", all sent after the server had closed the connection: clients that look would lose none"
		f.mild = !j.rules.Strict
	case blind > 0:
		measured += fmt.Sprintf(", %d by any client", f.wrong-blind)
	}
	if total == 0 {
		f.add("no request of this class was sent")
	}
	what := "request"
	if class == record.Stream {
		what = "stream"
	}
	return f.check(RequestsID(class), fmt.Sprintf("%s clients lose no %s", class, what), "0 lost", measured)
}

// describe describes a lost request in one line.
func (j *judge) describe(r *record.Request) string {
	text := fmt.Sprintf("at %s: %s, %s %s, %s", j.since(r.End), r.Outcome, r.Method, r.Path, r.Whose())
	if r.ConnectionUse > 0 {
		text += fmt.Sprintf(", request %d of a connection %s old", r.ConnectionUse+1, ms(r.ConnectionAge))
	}
	if r.SentAfterClose {
		text += ", sent after the server had closed it"
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	if r.Side != "" {
		text += fmt.Sprintf("; lost at %s: %s", r.Side, r.SideBy)
	}
	return text
}

// problems checks that each error response is a problem document, and that there was at
// least one.
func (j *judge) problems() record.Check {
	const name, bound = "every error response is a problem document", "all, and at least one seen (RFC 9457)"
	if !j.rules.Problems {
		return notChecked(ProblemsID, name, bound, "not asked for")
	}
	f := j.finding()
	seen := 0
	for i := range j.run.Requests {
		r := &j.run.Requests[i]
		if r.Status < 400 {
			continue
		}
		seen++
		if r.Outcome == record.NotProblem {
			f.add("%s", j.describe(r))
		}
	}
	for _, p := range j.stopped {
		for _, probe := range p.Probes {
			if probe.Status >= 400 {
				seen++
				if !probe.Problem {
					f.add("%s probe of %s at %s: status %d, no problem document", probe.Kind, p.Name, j.since(probe.At), probe.Status)
				}
			}
		}
	}
	measured := fmt.Sprintf("%d of %d error responses", seen-f.wrong, seen)
	if seen == 0 {
		f.add("no error response was seen; ask for one with --error-path")
	}
	return f.check(ProblemsID, name, bound, measured)
}

// baseline checks that nothing was lost before the first step. Otherwise the fault is
// in the load generator or the target, not in the update. It is no milder if only clients
// lost that don't look: no server that is left alone should close what is in use.
func (j *judge) baseline() record.Check {
	const name, bound = "nothing is lost before anything is done", "0 lost in the baseline"
	f := j.finding()
	total := 0
	baseline := j.phases(record.Baseline)
	for i := range j.run.Requests {
		r := &j.run.Requests[i]
		if within(baseline, r.End) {
			total++
			if r.Failed() {
				f.add("%s", j.describe(r))
			}
		}
	}
	measured := fmt.Sprintf("%d of the %d that ended in it lost", f.wrong, total)
	if total == 0 {
		f.add("there was no traffic in the baseline")
	}
	return f.check(BaselineID, name, bound, measured)
}

// maxLate bounds the load generator's own delay, at the 99th percentile. Beyond it, the
// rate was not as given.
const maxLate = 500 * time.Millisecond

// load checks that the load generator sent what it was told to.
func (j *judge) load() record.Check {
	f := j.finding()
	skipped, late := 0, time.Duration(0)
	for _, c := range j.run.Load {
		skipped += c.Skipped
		late = max(late, c.Late)
		if c.Skipped > 0 {
			f.add("%s: %d requests were not sent, as too many were waiting", c.Class, c.Skipped)
		}
		if c.Early*10 > c.Sent {
			f.add("%s: %d of %d requests were answered before their time; they were not in flight for as long as they should", c.Class, c.Early, c.Sent)
		}
		if c.Late > maxLate {
			f.add("%s: sent up to %s late; lower the rate, or use a machine with more cores", c.Class, ms(c.Late))
		}
	}
	if len(j.run.Load) == 0 {
		f.add("the load generator gave no account")
	}
	return f.check(LoadID, "the load generator sent what it should", fmt.Sprintf("none skipped, p99 of its own delay at most %s", maxLate),
		fmt.Sprintf("%d skipped, p99 %s", skipped, ms(late)))
}

// coverageWindow is how shortly before SIGTERM a pod must have answered a request of a
// class for the class to count as covered.
const coverageWindow = time.Second

// coverage checks that each class had requests on stopping pods. A slow request or a
// stream must have been in flight when its pod was told to stop.
func (j *judge) coverage() record.Check {
	const name = "every class met pods that were told to stop"
	const bound = "at least one pod per class"
	if !j.rules.Terminations {
		return notChecked(CoverageID, name, bound, "the scenario stops no pod")
	}
	byPod := map[string][]*record.Request{}
	for i := range j.run.Requests {
		if r := &j.run.Requests[i]; r.Pod != "" && !r.Inferred {
			byPod[r.Pod] = append(byPod[r.Pod], r)
		}
	}
	if len(byPod) == 0 {
		return notChecked(CoverageID, name, bound, "no response names its pod: make the target send its name in a header (see --pod-header)")
	}
	f := j.finding()
	measured := ""
	for _, class := range j.rules.Classes {
		met := 0
		for _, p := range j.stopped {
			if slices.ContainsFunc(byPod[p.Name], func(r *record.Request) bool { return r.Class == class && meets(r, p) }) {
				met++
			}
		}
		if measured != "" {
			measured += ", "
		}
		measured += fmt.Sprintf("%s %d of %d", class, met, len(j.stopped))
		if met == 0 {
			f.add("no %s request was on any of %d pods when it was told to stop", class, len(j.stopped))
		}
	}
	return f.check(CoverageID, name, bound, measured)
}

// stopSlack is how late the recorded time of SIGTERM may be. It is the time of a log
// line, which the container runtime sets when it reads the line. By then, a server that
// ends its streams at once has done so.
const stopSlack = 100 * time.Millisecond

func meets(r *record.Request, p *record.Pod) bool {
	stop := p.TermBegan()
	if r.Class == record.Slow || r.Class == record.Stream {
		return r.Sent.Before(stop) && r.End.After(stop.Add(-stopSlack))
	}
	if p.Signalled.IsZero() {
		// The kubelet's event comes late from a busy node, when the pod has left the
		// endpoints already.
		stop = p.Deleted
	}
	return r.End.After(stop.Add(-coverageWindow)) && r.Sent.Before(stop)
}

// latency compares the 99th percentiles of requests that are not slow, before and during
// the steps.
func (j *judge) latency() record.Check {
	const name = "latency while something is done"
	bound := "reported only"
	if j.rules.MaxLatencyFactor > 0 {
		bound = fmt.Sprintf("p99 at most %g times the baseline's", j.rules.MaxLatencyFactor)
	}
	before, during := j.p99(record.Baseline), j.p99(record.Action)
	if before == 0 || during == 0 {
		c := notChecked(LatencyID, name, bound, "no requests to compare")
		if j.rules.MaxLatencyFactor > 0 {
			c.Result = record.Fail
		}
		return c
	}
	factor := float64(during) / float64(before)
	f := j.finding()
	if j.rules.MaxLatencyFactor > 0 && factor > j.rules.MaxLatencyFactor {
		f.add("p99 %s, %.1f times the baseline's %s", ms(during), factor, ms(before))
	}
	c := f.check(LatencyID, name, bound, fmt.Sprintf("p99 %s, baseline %s, factor %.1f", ms(during), ms(before), factor))
	if j.rules.MaxLatencyFactor == 0 {
		c.Result = record.Reported
	}
	return c
}

func (j *judge) p99(kind record.PhaseKind) time.Duration {
	var all []time.Duration
	phases := j.phases(kind)
	for i := range j.run.Requests {
		r := &j.run.Requests[i]
		if r.Class != record.Slow && r.Class != record.Stream && !r.Failed() && within(phases, r.Due) {
			all = append(all, r.Latency())
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*99)/100]
}

// phases returns the phases of a kind. A run may have hundreds of them, and a million
// requests: to go through the requests once for each phase takes as long as reading them
// from memory as often.
func (j *judge) phases(kind record.PhaseKind) []record.Phase {
	var phases []record.Phase
	for _, phase := range j.run.Phases {
		if phase.Kind == kind {
			phases = append(phases, phase)
		}
	}
	return phases
}

// within reports whether t is in one of the phases.
func within(phases []record.Phase, t time.Time) bool {
	for i := range phases {
		if t.After(phases[i].Began) && t.Before(phases[i].Ended) {
			return true
		}
	}
	return false
}
