package cause

import (
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }

// aRun is the record of a run in which two pods are stopped, a at 10 s and b at 20 s, with
// a grace period of 30 s.
type aRun struct{ *record.Run }

func newRun() aRun {
	return aRun{&record.Run{
		Began: began, Ended: at(60),
		Target: record.Target{
			Name: "shop/web", Image: "registry.example/web:1", Container: "app", Port: 8080, Paths: []string{"/"}, Grace: 30 * time.Second,
			ReadinessProbe: true,
		},
		Cluster: record.Cluster{Kubernetes: "v1.36.3"},
		Phases: []record.Phase{
			{Name: "baseline", Kind: record.Baseline, Began: at(0), Ended: at(9)}, {Name: "rolling restart 1", Kind: record.Action, Began: at(9), Ended: at(50)},
		},
		Load: []record.Client{{Class: record.Pooled, Rate: 100}, {Class: record.Blind, Rate: 100}, {Class: record.New, Rate: 100}, {Class: record.Slow, Rate: 5, Duration: 8 * time.Second}},
	}}
}

// stop adds pods a and b, which stop in the same way: told 50 ms after the deletion was
// seen, they close their listener and end so many seconds after that. If closed is
// negative, it is at the end.
func (r aRun) stop(closed, end float64, code int) aRun {
	for i, name := range []string{"a", "b"} {
		r.stopOne(name, 10*float64(i+1), closed, end, code)
	}
	return r
}

func (r aRun) stopOne(name string, deleted, closed, end float64, code int) {
	told := deleted + 0.05
	if closed < 0 {
		closed = end
	}
	p := record.Pod{
		Name: name, Created: at(-100), Ready: at(-90), Deleted: at(deleted), Killing: at(told), Grace: r.Target.Grace, EndpointGone: at(deleted + 0.5),
		// The kubelet reports an end a second late.
		Exited: at(told + end + 1), Gone: at(told + end + 1.5), ExitCode: &code, Reason: "Error",
	}
	for s := told; s < told+end+1; s += 0.1 {
		probe := record.Probe{Kind: record.Readiness, At: at(s), Took: time.Millisecond, Status: 200}
		if s >= told+closed {
			probe.Status, probe.Refused = 0, true
		}
		p.Probes = append(p.Probes, probe)
	}
	r.Pods = append(r.Pods, p)
}

type option func(*record.Request)

func on(pod string) option { return func(q *record.Request) { q.Pod, q.Inferred = pod, true } }
func kept(q *record.Request) {
	q.ConnectionUse, q.ConnectionAge = 7, time.Second
}
func afterClose(q *record.Request) { kept(q); q.SentAfterClose = true }
func answered(code int) option     { return func(q *record.Request) { q.Status = code } }

// lose adds lost requests: n of a class, sent at a moment, each lost after so many
// seconds.
func (r aRun) lose(n int, class record.Class, outcome record.Outcome, sent, took float64, options ...option) aRun {
	for i := range n {
		q := record.Request{Class: class, Outcome: outcome, Method: "GET", Path: "/", Due: at(sent), Sent: at(sent + float64(i)/1000), End: at(sent + float64(i)/1000 + took), Detail: fmt.Sprintf("detail %d", i)}
		for _, o := range options {
			o(&q)
		}
		r.Requests = append(r.Requests, q)
	}
	return r
}

// serve adds a request that was answered.
func (r aRun) serve(class record.Class, sent, took float64, options ...option) aRun {
	r.lose(1, class, record.OK, sent, took, options...)
	r.Requests[len(r.Requests)-1].Inferred = false
	return r
}

// target changes the target.
func (r aRun) target(change func(*record.Target)) aRun {
	change(&r.Target)
	return r
}
