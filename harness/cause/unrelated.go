package cause

import (
	"cmp"
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// newFor is for how long after it was ready a pod counts as new, if the record does not
// name the pod that has lost a request. One that it names is new until its first answer.
const newFor = 3 * time.Second

// unrelated finds the causes of what was lost while no pod was stopping, and says of the
// rest that its cause is unknown.
func (f *finder) unrelated() {
	f.restarted()
	if losses := f.take(func(l *loss) bool { return l.way == wrong }); len(losses) > 0 {
		f.explain(record.Cause{
			ID: WrongAnswer, Title: "Answers were not as asked for",
			Evidence: []string{"The first: " + cmp.Or(losses[0].Detail, string(losses[0].Outcome)) + "."},
		}, losses, nil)
	}
	f.tooEarly()
	if losses := f.take(func(l *loss) bool { return l.way == idle }); len(losses) > 0 {
		f.explain(record.Cause{
			ID: IdleTimeout, Title: "Kept connections are closed though no pod is stopping", Likely: true,
			Evidence: []string{"No pod was being stopped then: the server closes connections by a timeout, or after a number of requests."},
			InServer: "Make the server's idle timeout longer than that of its clients, and announce the end of a connection with \"Connection: close\".",
		}, losses, nil)
	}
	if losses := f.take(func(*loss) bool { return true }); len(losses) > 0 {
		idle := 0
		for _, l := range losses {
			if l.life == nil {
				idle++
			}
		}
		where := "Pods were being stopped, but how they did it does not explain it."
		if idle == len(losses) {
			where = "No pod was being stopped then."
		}
		f.explain(record.Cause{
			ID: Unknown, Title: "The cause is unknown", Likely: true,
			Evidence: []string{where, "The first: " + cmp.Or(losses[0].Detail, string(losses[0].Outcome)) + "."},
		}, losses, nil)
	}
}

// restarted explains what was lost in a run in which containers ended by themselves.
func (f *finder) restarted() {
	restarts, pods := 0, map[string]bool{}
	for i := range f.run.Pods {
		if p := &f.run.Pods[i]; p.Restarts > 0 {
			restarts += p.Restarts
			pods[p.Name] = true
		}
	}
	if restarts == 0 {
		return
	}
	losses := f.take(func(l *loss) bool { return l.life == nil && (l.Pod == "" || pods[l.Pod]) && l.way != wrong })
	f.explain(record.Cause{
		ID: Restarted, Title: "Containers ended by themselves, and were restarted", Likely: true,
		Evidence: []string{fmt.Sprintf("%s in %s.", count(restarts, "restart"), count(len(pods), "pod"))},
		InServer: "Look at the pod's log and its last state: kubectl describe pod.",
	}, losses, nil)
}

// tooEarly explains what was lost while pods were new.
func (f *finder) tooEarly() {
	t := &f.run.Target
	answered := map[string]time.Time{} // first
	for i := range f.run.Requests {
		if q := &f.run.Requests[i]; q.Pod != "" && !q.Failed() && (answered[q.Pod].IsZero() || q.End.Before(answered[q.Pod])) {
			answered[q.Pod] = q.End
		}
	}
	losses := f.take(func(l *loss) bool {
		if l.life != nil && l.sure || l.way == idle || l.way == stream {
			return false
		}
		for i := range f.run.Pods {
			p := &f.run.Pods[i]
			known := l.Pod == "" || l.Pod == p.Name
			if !known || p.Ready.IsZero() || p.Created.Before(f.run.Began.Add(-time.Second)) || l.at().Before(p.Created) {
				continue
			}
			first := answered[p.Name]
			starting := l.Pod == p.Name && l.way == unreached && (first.IsZero() || l.Sent.Before(first))
			if starting || l.Sent.Before(p.Ready.Add(newFor)) {
				return l.life == nil
			}
		}
		return false
	})
	if len(losses) == 0 {
		return
	}
	c := record.Cause{ID: ReadyTooEarly, Title: "New pods are routed to before they answer", Likely: t.ReadinessProbe}
	if t.ReadinessProbe {
		c.Evidence = []string{"No pod was being stopped, but one was new. The container has a readiness probe; it passes before the server answers."}
		c.InServer = "Answer readiness with 200 only once requests can be answered, on the port that serves them."
	} else {
		c.Evidence = []string{"No pod was being stopped, but one was new. The container has no readiness probe, so it counts as ready as soon as it runs."}
		c.InKubernetes = "Give the container a readiness probe."
		if len(t.Paths) > 0 {
			c.Change.ReadinessPath = t.Paths[0]
		}
	}
	f.explain(c, losses, nil)
}
