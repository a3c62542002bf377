package cause

import (
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// statusLag is by how much the end of a container may be seen late: a kubelet looks
	// at its containers once a second, and reports after that.
	statusLag = 2500 * time.Millisecond
	// routedAfter is for how long connections may still reach, or not reach, a pod that is
	// gone: nodes update their rules at most once a second, and a SYN that nobody answers
	// is sent again.
	routedAfter = 6 * time.Second
	// slack is how exact times are that come from different sources.
	slack = 300 * time.Millisecond
)

// A life is how one pod was stopped.
type life struct {
	*record.Pod
	told   time.Time // when its process was sent the signal, as far as known
	closed time.Time // when it first accepted no connection; zero if not seen before its end
	// end is when its process ended: the first time at which nothing answered any more, or
	// when the end was seen.
	end time.Time
	// worked is the last time at which it is known to have answered or logged something.
	worked time.Time

	code   int
	killed bool // by SIGKILL, after the grace period
	early  bool // by SIGKILL, before that
	atOnce bool // it ended soon after the signal, without SIGKILL
}

// lives returns the pods that were told to stop, and whose end could be seen.
func lives(run *record.Run) []*life {
	served := map[string]time.Time{}
	for i := range run.Requests {
		if q := &run.Requests[i]; q.Pod != "" && !q.Failed() && q.Class != record.Stream && q.End.After(served[q.Pod]) {
			served[q.Pod] = q.End
		}
	}
	var out []*life
	for i := range run.Pods {
		p := &run.Pods[i]
		if p.Deleted.IsZero() || p.Lost {
			continue
		}
		l := &life{Pod: p, told: told(p, &run.Target), code: -1, end: p.Exited, worked: served[p.Name]}
		if p.ExitCode != nil {
			l.code = *p.ExitCode
		}
		for k := range p.Probes {
			q := &p.Probes[k]
			switch {
			case q.Answered() && q.At.Add(q.Took).After(l.worked):
				l.worked = q.At.Add(q.Took)
			case q.Refused && (l.closed.IsZero() || q.At.Before(l.closed)):
				l.closed = q.At
			}
		}
		if n := len(p.Log); n > 0 && p.Log[n-1].At.After(l.worked) {
			l.worked = p.Log[n-1].At // by the container runtime's clock, on the same nodes
		}
		if l.end.IsZero() {
			l.end = p.Gone
		}
		began := p.Killing // from here the grace period counts
		if began.IsZero() {
			began = p.Deleted
		}
		if l.code == sigkilled {
			l.killed = p.Grace > 0 && l.end.Sub(began) >= p.Grace-time.Second
			l.early = !l.killed
		}
		l.atOnce = l.code >= 0 && l.code != sigkilled && !l.end.IsZero() && l.end.Sub(l.told) < statusLag
		out = append(out, l)
	}
	return out
}

// sigkilled is the exit code of a process that SIGKILL ended: 128 + 9.
const sigkilled = 137

// told returns when the process of a pod was sent the signal. After a hook whose duration
// is unknown, it is when the hook began.
func told(p *record.Pod, t *record.Target) time.Time {
	if at, _ := p.SIGTERM(); !at.IsZero() && (p.PreStop != nil || t.PreStop == "" || !p.Signalled.IsZero()) {
		return at
	}
	return p.TermBegan().Add(t.PreStopSleep)
}

// hookUnknown reports whether a preStop hook of unknown duration hides when the signal
// came.
func (f *finder) hookUnknown() bool {
	return f.run.Target.PreStop != "" && f.run.Target.PreStopSleep == 0
}

// covers reports whether something that happened at a moment may be due to the end of the
// pod.
func (l *life) covers(at time.Time) bool {
	last := l.Gone
	if l.Exited.After(last) {
		last = l.Exited
	}
	return !at.Before(l.Deleted.Add(-slack)) && (last.IsZero() || !at.After(last.Add(routedAfter)))
}

// those returns the lives that fulfil a condition.
func (f *finder) those(want func(*life) bool) []*life {
	return slices.DeleteFunc(slices.Clone(f.lives), func(l *life) bool { return !want(l) })
}

// after returns how long after its signal something happened, for each life where both are
// known.
func after(all []*life, what func(*life) time.Time) []time.Duration {
	var out []time.Duration
	for _, l := range all {
		if at := what(l); !at.IsZero() && !l.told.IsZero() {
			out = append(out, max(at.Sub(l.told), 0))
		}
	}
	return out
}
