package cause

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// ended finds the causes that lie in how processes ended. Each explains everything that
// was lost on its pods.
func (f *finder) ended() {
	f.killedEarly()
	f.capped()
	f.killed()
	f.endedAtOnce()
}

// on returns the losses on some pods.
func (f *finder) on(all []*life) []*loss {
	return f.take(func(l *loss) bool {
		for _, one := range all {
			if l.life == one {
				return true
			}
		}
		return false
	})
}

func (f *finder) killedEarly() {
	all := f.those(func(l *life) bool { return l.early })
	if len(all) == 0 {
		return
	}
	reason := ""
	for _, l := range all {
		if l.Reason == "OOMKilled" {
			reason = "OOMKilled"
		}
	}
	c := record.Cause{
		ID: KilledEarly, Title: "The process was killed (SIGKILL) before its grace period was over",
		Evidence: []string{fmt.Sprintf("%s ended with exit code 137 after %s, of a grace period of %s.", count(len(all), "pod"), span(after(all, ended)), seconds(all[0].Grace))},
		InServer: "Find out who sends SIGKILL: a supervisor in the container, a liveness probe with a grace period of its own, or the kernel for want of memory.",
		Likely:   true,
	}
	if reason != "" {
		c.Title = "The process was killed for want of memory"
		c.Evidence = append(c.Evidence, "The kubelet's reason is OOMKilled.")
		c.InServer, c.Likely = "", false
		c.InKubernetes = "Raise resources.limits.memory of the container."
	}
	f.explain(c, f.on(all), all)
}

func ended(l *life) time.Time  { return l.end }
func closed(l *life) time.Time { return l.closed }

// killed finds why processes were killed after their grace period.
func (f *finder) killed() {
	t := &f.run.Target
	all := f.those(func(l *life) bool { return l.killed && (l.Grace == 0 || l.Grace >= t.Grace) })
	if len(all) == 0 {
		return
	}
	grace := all[0].Grace
	evidence := []string{fmt.Sprintf("%s of %d got SIGKILL (exit code 137) at the end of the grace period of %s.", count(len(all), "pod"), len(f.lives), seconds(grace))}
	if t.PreStopSleep > 0 && t.PreStopSleep+2*time.Second >= grace {
		f.explain(record.Cause{
			ID: GraceTooShort, Title: "The preStop hook uses up the grace period",
			Evidence:     append(evidence, fmt.Sprintf("The preStop hook sleeps %s of it: the server has %s to stop.", seconds(t.PreStopSleep), seconds(max(grace-t.PreStopSleep, 0)))),
			InKubernetes: "The grace period counts from before the hook: make it longer, or the sleep shorter.",
			Change:       record.Change{Grace: whole(t.PreStopSleep + max(grace, 30*time.Second))},
		}, f.on(all), all)
		return
	}
	open, shut := []*life{}, []*life{}
	for _, l := range all {
		if l.closed.IsZero() || l.end.Sub(l.closed) <= statusLag {
			open = append(open, l)
		} else {
			shut = append(shut, l)
		}
	}
	f.wentOn(open, grace, evidence)
	f.waited(shut, grace, evidence)
}

// wentOn explains servers that accepted connections until they were killed.
func (f *finder) wentOn(all []*life, grace time.Duration, evidence []string) {
	t := &f.run.Target
	if len(all) == 0 {
		return
	}
	losses := f.on(all)
	evidence = append(evidence, "Until then they accepted connections.")
	if how := f.noticed(all); how != "" {
		f.explain(record.Cause{
			ID: GraceTooShort, Title: "The server takes longer to stop than its grace period", Evidence: append(evidence, how),
			InServer:     "Bound how long it waits" + by(f.server.limit) + ", below the grace period.",
			InKubernetes: "Give it more time with terminationGracePeriodSeconds.",
			Change:       record.Change{Grace: whole(2 * max(grace, 15*time.Second))},
		}, losses, all)
		return
	}
	switch {
	case throughShell(t.Command):
		c := record.Cause{
			ID: NotPassedOn, Title: "A shell gets the signal, and does not pass it on to the server",
			Evidence: append(evidence, fmt.Sprintf("The container starts its server by %q: SIGTERM goes to the process with PID 1, and that ignores it.", strings.Join(t.Command[:min(len(t.Command), 3)], " "))),
			InServer: "Start the server in place of the shell: \"exec\" before its command, or a list of words instead of a line (ENTRYPOINT [\"server\", \"--flag\"]). " + f.server.handler,
		}
		if c.Change.Command = withExec(t.Command); c.Change.Command != nil {
			c.InKubernetes = "Start it by exec, as the patch does."
		}
		f.explain(c, losses, all)
	case f.server.reloads:
		f.explain(record.Cause{
			ID: WrongSignal, Title: f.server.Name + " does not end on SIGTERM: it reloads", Evidence: evidence, InServer: f.server.handler,
		}, losses, all)
	default:
		f.explain(record.Cause{
			ID: Ignored, Title: "The process does nothing on " + cmp.Or(t.StopSignal, "SIGTERM") + ", and is killed",
			Evidence: append(evidence, "A process with PID 1 ignores every signal for which it has no handler; one behind a script may never get it."),
			InServer: cmp.Or(f.server.handler, anyHandler) + " If a script starts it, start it with exec.",
		}, losses, all)
	}
}

// noticed says how it is known that pods noticed the signal; empty if it is not known.
func (f *finder) noticed(all []*life) string {
	for _, l := range all {
		if !l.Signalled.IsZero() || len(l.Milestones) > 0 {
			return "They logged that they were told to stop."
		}
		ready := false
		for i := range l.Probes {
			q := &l.Probes[i]
			switch {
			case q.Kind != record.Readiness || q.Status == 0:
			case q.Status < 400:
				ready = true
			case ready:
				return fmt.Sprintf("They had noticed the signal: readiness turned to %d.", q.Status)
			}
		}
		for i := range f.run.Requests {
			if r := &f.run.Requests[i]; r.Pod == l.Name && r.CloseAnnounced && r.ConnectionUse > 0 && r.Sent.After(l.told) {
				return "They had noticed the signal: responses announced \"Connection: close\" from then on."
			}
		}
	}
	return ""
}

// waited explains servers that accepted no connection any more, and did not end.
func (f *finder) waited(all []*life, grace time.Duration, evidence []string) {
	if len(all) == 0 {
		return
	}
	evidence = append(evidence, fmt.Sprintf("They had stopped accepting connections %s after the signal, and then did not end.", span(after(all, closed))))
	losses := f.on(all)
	var requests, streams, kept int
	for _, l := range losses {
		switch {
		case l.at().Before(l.life.end.Add(-statusLag)): // before it was killed
		case l.way == stream || l.Class == record.Stream:
			streams++
		case l.Class == record.Slow:
			requests++
		case l.ConnectionUse > 0:
			kept++
		}
	}
	served := 0
	for _, l := range all {
		if l.worked.Sub(l.closed) > statusLag {
			served++
		}
	}
	if requests > 0 && streams == 0 && kept == 0 {
		f.explain(record.Cause{
			ID: GraceTooShort, Title: "The grace period is shorter than the requests in flight",
			Evidence:     append(evidence, fmt.Sprintf("%s in flight when they were killed.", count(requests, "slow request")+were(requests))),
			InServer:     "Bound how long a request may take" + by(f.server.limit) + ".",
			InKubernetes: "Make terminationGracePeriodSeconds longer than the longest request.",
			Change:       record.Change{Grace: whole(f.run.Target.PreStopSleep + max(2*grace, f.longest()+15*time.Second))},
		}, losses, all)
		return
	}
	if served > 0 {
		evidence = append(evidence, fmt.Sprintf("On %s, requests on kept connections were still answered after that: their clients never had a reason to leave.", count(served, "pod")))
	}
	if streams > 0 {
		evidence = append(evidence, fmt.Sprintf("%s still open when they were killed.", count(streams, "stream")+were(streams)))
	}
	f.explain(record.Cause{
		ID: KeptOpen, Title: "The server waits for connections that clients keep, until it is killed", Evidence: evidence,
		Likely:       served == 0 && streams == 0 && kept == 0,
		InServer:     cmp.Or(f.server.kept, anyKept),
		InKubernetes: "A longer grace period only delays the end.",
	}, losses, all)
}

// endedAtOnce finds processes that a signal ended, and those that end without waiting.
func (f *finder) endedAtOnce() {
	if f.hookUnknown() {
		return // nobody knows how long they had
	}
	all := f.those(func(l *life) bool { return l.atOnce })
	if len(all) == 0 {
		return
	}
	t := &f.run.Target
	codes, bySignal := map[int]int{}, 0
	// The runtime of Go exits with 2 if it has PID 1, since the signal can't end it then.
	couldBeGo := f.server.Name == "" || strings.HasPrefix(t.Program, "go1")
	for _, l := range all {
		codes[l.code]++
		if l.code > 128 && l.code < 160 || l.code == 2 && couldBeGo {
			bySignal++
		}
	}
	cutThere := false
	for _, l := range f.losses {
		if !l.explained && l.life != nil && l.life.atOnce && (l.way == cut || l.Class == record.Slow && l.way != status) {
			cutThere = true
		}
	}
	signal := cmp.Or(t.StopSignal, "SIGTERM")
	evidence := []string{fmt.Sprintf("%s of %d ended %s after %s, with exit code %s.", count(len(all), "pod"), len(f.lives), span(after(all, turned)), signal, codeText(codes, couldBeGo))}
	if t.PreStopSleep > 0 {
		evidence = append(evidence, fmt.Sprintf("The preStop hook had slept %s before; connections that are kept stay with the pod all that time.", seconds(t.PreStopSleep)))
	}
	c := record.Cause{Evidence: evidence, InServer: cmp.Or(f.server.handler, anyHandler)}
	f.beforehand(&c, "That saves new connections, but not what is in flight or kept when the process ends.")
	switch {
	case f.server.graceful != "" && signal == "SIGTERM" && (t.PreStop == "" || t.PreStopSleep > 0) && (cutThere || len(f.on(all)) > 0):
		c.ID = WrongSignal
		c.Title = fmt.Sprintf("%s ends at once on SIGTERM; %s is its signal for a graceful stop", f.server.Name, f.server.graceful)
		c.Likely = !cutThere // perhaps the image names that signal, and it had little to do
		f.quit(&c)
	case bySignal == len(all) && !(f.server.ends143 && !cutThere):
		c.ID = NoHandler
		c.Title = "The signal ends the process at once: it has no handler for " + signal
	case cutThere:
		c.ID = EndsAtOnce
		c.Title = "The process ends at once on " + signal + ", with requests in flight"
	default:
		return // what was lost says more
	}
	f.explain(c, f.on(all), all)
}

// turned is when a process that ended at once did so: what did not answer any more is a
// better sign than the kubelet's report.
func turned(l *life) time.Time {
	if !l.closed.IsZero() && l.closed.Before(l.end) {
		return l.closed
	}
	return l.end
}

func codeText(codes map[int]int, couldBeGo bool) string {
	var parts []string
	for code := range 256 {
		switch n := codes[code]; {
		case n == 0:
		case code > 128 && code < 160:
			parts = append(parts, fmt.Sprintf("%d (128 + %d: a signal ended it)", code, code-128))
		case code == 2 && couldBeGo:
			parts = append(parts, "2 (as a Go program without a handler that has PID 1)")
		default:
			parts = append(parts, fmt.Sprint(code))
		}
	}
	return strings.Join(parts, ", ")
}

// longest returns the duration of the longest slow request of the load.
func (f *finder) longest() time.Duration {
	longest := time.Duration(0)
	for _, c := range f.run.Load {
		longest = max(longest, c.Duration)
	}
	return longest
}

// by names a setting that bounds something.
func by(limit string) string {
	if limit == "" {
		return ""
	}
	return ", by " + limit
}

func were(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}

// whole rounds a duration up to whole seconds, as the manifest has it.
func whole(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
