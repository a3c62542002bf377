package cause

import (
	"cmp"
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// drained finds the causes of what was lost while pods stopped, by how it was lost.
func (f *finder) drained() {
	for _, one := range []struct {
		ways []way
		find func([]*loss)
	}{
		{[]way{unreached}, f.closedEarly}, {[]way{unread}, f.queueReset}, {[]way{idle}, f.idleClosed}, {[]way{cut}, f.requestsCut},
		{[]way{stream}, f.streamsCut}, {[]way{status}, f.errorsStopping}, {[]way{unanswered}, f.notAnswered},
	} {
		losses := f.take(func(l *loss) bool {
			if l.life == nil {
				return false
			}
			for _, w := range one.ways {
				if l.way == w {
					return true
				}
			}
			return false
		})
		if len(losses) > 0 {
			one.find(losses)
		}
	}
}

// usualSleep is how long a preStop hook should sleep: endpoints reach all nodes of a large
// cluster in some seconds; 5 to 15 s are usual.
const usualSleep = 10 * time.Second

// beforehand adds a preStop sleep to what is to be done: while it lasts, nodes learn that
// the pod ends.
func (f *finder) beforehand(c *record.Cause, limits string) {
	t := &f.run.Target
	sleep := usualSleep
	if t.PreStopSleep > 0 {
		if sleep = whole(t.PreStopSleep + 5*time.Second); f.routedLate() < 0 {
			return // it is long enough
		}
		sleep = max(sleep, usualSleep)
	}
	if f.hookUnknown() {
		c.InKubernetes = join(fmt.Sprintf("Let the preStop hook (%s) go on for %s at least, so that the process gets its signal when all nodes know that the pod ends.", t.PreStop, seconds(usualSleep)), limits)
		return
	}
	c.InKubernetes = join(fmt.Sprintf("Let a preStop hook sleep %.0f s, so that the process gets its signal when all nodes know that the pod ends.", sleep.Seconds()), limits)
	c.Change.PreStopSleep = sleep
	c.Change.Grace = whole(sleep - t.PreStopSleep + max(t.Grace, 20*time.Second)) // what the server has stays the same
}

// routedLate returns how long after the signal the last new connection failed to reach a
// pod; negative if none did.
func (f *finder) routedLate() time.Duration {
	late := time.Duration(-1)
	for _, l := range f.losses {
		if l.life != nil && (l.way == unreached || l.way == unread) && !l.life.told.IsZero() {
			late = max(late, l.Sent.Sub(l.life.told))
		}
	}
	return late
}

// quit has the preStop hook stop a server that does so gracefully on another signal.
func (f *finder) quit(c *record.Cause) {
	t := &f.run.Target
	if f.server.quit == "" {
		return
	}
	sleep := max(c.Change.PreStopSleep, t.PreStopSleep, 5*time.Second)
	c.Change.PreStopSleep = 0
	// The hook lasts until the process has ended, and the container with it.
	c.Change.PreStop = []string{"/bin/sh", "-c", fmt.Sprintf("sleep %.0f; %s; sleep 3600", sleep.Seconds(), f.server.quit)}
	c.Change.Grace = whole(sleep - t.PreStopSleep + max(t.Grace, 20*time.Second))
	c.InKubernetes = fmt.Sprintf("Have a preStop hook sleep %.0f s and then call %q, so that SIGTERM finds nothing to do. "+
		"lifecycle.stopSignal: %s does it, too, where the cluster has the feature gate ContainerStopSignals (alpha since 1.33) and the pod names its os.",
		sleep.Seconds(), f.server.quit, f.server.graceful)
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + " " + b
}

// timing says whether the processes lived on when losses happened, or ended then.
func timing(losses []*loss) string {
	lived, gone := 0, 0
	for _, l := range losses {
		if l.life.end.Sub(l.at()) > statusLag || l.life.worked.Sub(l.at()) > slack {
			lived++
		} else {
			gone++
		}
	}
	switch {
	case gone == 0:
		return "The process lived on: the server closed them itself."
	case lived == 0:
		return "The process ended then, as far as a kubelet's report is exact (2 s), and took them with it."
	}
	return fmt.Sprintf("Of %d, the process lived on, so that the server closed them itself; of %d, it ended then, as far as a kubelet's report is exact (2 s).", lived, gone)
}

// stopping returns the pods on which losses happened.
func stopping(losses []*loss) []*life {
	var out []*life
	seen := map[*life]bool{}
	for _, l := range losses {
		if !seen[l.life] {
			seen[l.life] = true
			out = append(out, l.life)
		}
	}
	return out
}

func (f *finder) closedEarly(losses []*loss) {
	t := &f.run.Target
	pods := stopping(losses)
	c := record.Cause{ID: ListenerClosed, Title: "Pods stop accepting connections while nodes still route to them", InServer: f.server.wait}
	if all := after(pods, closed); len(all) > 0 && !f.hookUnknown() {
		c.Evidence = append(c.Evidence, fmt.Sprintf("They refused connections %s after the signal.", span(all)))
	}
	if late := f.routedLate(); late > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("The last new connection that did not reach its pod was sent %s after the signal.", seconds(late)))
	}
	if t.PreStopSleep > 0 {
		c.Title = "The preStop hook is too short: nodes still route to pods after it"
		c.Evidence = append(c.Evidence, fmt.Sprintf("The preStop hook sleeps %s.", seconds(t.PreStopSleep)))
	}
	timeouts := 0
	for _, l := range losses {
		if l.Outcome == record.DialTimeout {
			timeouts++
		}
	}
	if timeouts > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("%s not even refused: the pod's address was gone already, or its queue of connections full.", count(timeouts, "connection")+were(timeouts)))
	}
	f.beforehand(&c, "")
	f.explain(c, losses, nil)
}

func (f *finder) queueReset(losses []*loss) {
	c := record.Cause{
		ID: AcceptQueueReset, Title: "Connections that the server had not accepted yet were reset when it closed its listener",
		Evidence: []string{"They were new, and failed before any response. " + timing(losses)},
		InServer: join("Closing a listener resets what waits in its queue: close it when no connection comes any more.", f.server.wait),
	}
	f.beforehand(&c, "After that, nothing is in the queue.")
	f.explain(c, losses, nil)
}

func (f *finder) idleClosed(losses []*loss) {
	blind := 0
	for _, l := range losses {
		if l.OnlyBlind() {
			blind++
		}
	}
	c := record.Cause{
		ID: IdleClosed, Title: "Idle kept connections are closed without an announcement",
		InServer: cmp.Or(f.server.idle, anyIdle),
		InKubernetes: "No manifest helps: kept connections stay with the pod during a preStop hook. Clients that look before they send, " +
			"and send again what was lost before a response, notice almost nothing.",
	}
	if blind > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("%d of %d sent after the close had arrived, by clients that don't look.", blind, len(losses)))
	}
	if crossed := len(losses) - blind; crossed > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("%d crossed the close on the way: any client would have lost %s.", crossed, map[bool]string{true: "it", false: "them"}[crossed == 1]))
	}
	c.Evidence = append(c.Evidence, timing(losses))
	stale := 0
	for _, client := range f.run.Load {
		stale += client.Stale
	}
	if stale > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("Clients that look found %s closed in time, and took another.", count(stale, "connection")))
	}
	f.explain(c, losses, nil)
}

func (f *finder) requestsCut(losses []*loss) {
	var took []time.Duration
	for _, l := range losses {
		took = append(took, l.at().Sub(l.Sent))
	}
	c := record.Cause{
		ID: RequestsCut, Title: "Requests in flight are cut",
		Evidence: []string{fmt.Sprintf("They had been under way for %s. %s", span(took), timing(losses))},
		InServer: join(cmp.Or(f.server.handler, anyHandler), limitText(f.server.limit)),
	}
	if longest := f.longest(); longest > f.run.Target.Grace-f.run.Target.PreStopSleep-5*time.Second && f.run.Target.Grace > 0 {
		c.InKubernetes = "Make terminationGracePeriodSeconds longer than the longest request."
		c.Change.Grace = whole(f.run.Target.PreStopSleep + longest + 15*time.Second)
	}
	f.explain(c, losses, nil)
}

func limitText(limit string) string {
	if limit == "" {
		return ""
	}
	return "Its bound is " + limit + "; it must be longer than the longest request."
}

func (f *finder) streamsCut(losses []*loss) {
	f.explain(record.Cause{
		ID: StreamsCut, Title: "Event streams are cut without a goodbye",
		Evidence: []string{timing(losses)},
		InServer: "On SIGTERM send each stream a last event, such as \"goodbye\", and end it then, so that its client connects anew, elsewhere. Let not all end in the same moment.",
	}, losses, nil)
}

func (f *finder) errorsStopping(losses []*loss) {
	kept := 0
	for _, l := range losses {
		if l.ConnectionUse > 0 {
			kept++
		}
	}
	c := record.Cause{
		ID: ErrorsStopping, Title: "Requests are turned away while the pod is still routed to",
		Evidence: []string{fmt.Sprintf("The answers came from pods that were told to stop: to %d on new connections, to %d on kept ones.", len(losses)-kept, kept)},
		InServer: cmp.Or(f.server.errors, "After SIGTERM only readiness should fail: answer all other requests as before, until the listener is closed."),
	}
	f.beforehand(&c, "Kept connections stay with the pod all the same.")
	f.explain(c, losses, nil)
}

func (f *finder) notAnswered(losses []*loss) {
	c := record.Cause{
		ID: NotAnswered, Title: "Connections are taken, and never answered", Likely: true,
		Evidence: []string{"The pods were stopping. A connection is taken by the kernel, even if no process accepts it any more; if the pod is gone, nobody even resets it."},
		InServer: "Keep accepting until the listener is closed. " + cmp.Or(f.server.handler, anyHandler),
	}
	f.beforehand(&c, "")
	f.explain(c, losses, nil)
}
