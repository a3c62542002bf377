package report

import (
	"fmt"
	"math/rand/v2"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A fixture makes runs like those of a verification, the same each time.
type fixture struct {
	run    *record.Run
	random *rand.Rand
	serial int
	live   []int // indexes of the live pods
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 250_000_000, time.UTC)

func at(seconds float64) time.Time { return began.Add(dur(seconds)) }

func dur(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}

func newFixture(seconds float64, replicas int) *fixture {
	f := &fixture{random: rand.New(rand.NewPCG(1, 2)), run: &record.Run{
		Command: []string{"verify", "--restarts", "3", "--rate", "200", "--target", "toolset/dynamic-toolset"},
		Version: "v1.2.3",
		Began:   began, Ended: at(seconds),
		Target: record.Target{
			Name: "toolset/dynamic-toolset", Image: "dynamic-toolset:devel", Address: "10.96.0.12:8080",
			Paths: []string{"/api/v1/toolsets"}, Replicas: replicas,
			Container: "toolset", Port: 8080, Grace: 45 * time.Second, ReadinessProbe: true, Program: "go1.26.0 kubernaut.io/dynamic-toolset",
		},
		Cluster:  record.Cluster{Driver: "sim", Kubernetes: "v1.36.3", Nodes: []string{"node-1", "node-2"}},
		Scenario: "rolling restarts",
	}}
	for range replicas {
		f.start(-20, 1.1, "7d9f8c6b5")
	}
	return f
}

// start adds a pod.
func (f *fixture) start(created, readyAfter float64, revision string) int {
	f.serial++
	i := len(f.run.Pods)
	f.run.Pods = append(f.run.Pods, record.Pod{
		Name: fmt.Sprintf("dynamic-toolset-%s-%s", revision, suffix(f.serial)),
		Node: fmt.Sprintf("node-%d", f.serial%2+1), IP: fmt.Sprintf("10.244.%d.%d", f.serial%2+1, f.serial), Revision: revision,
		Created: at(created), Ready: at(created + readyAfter), Grace: 45 * time.Second,
	})
	f.live = append(f.live, i)
	return i
}

func suffix(n int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	out := make([]byte, 5)
	for i := range out {
		n = (n*7919 + 104729) % 1_000_003
		out[i] = letters[n%len(letters)]
	}
	return string(out)
}

// stop ends a pod, as the service does or as a naive server would.
func (f *fixture) stop(i int, second float64, naive bool) {
	p := &f.run.Pods[i]
	p.Deleted, p.Killing, p.Signalled, p.EndpointGone = at(second), at(second+0.02), at(second+0.03), at(second+0.25)
	code := 0
	if naive {
		p.Exited, p.Gone, p.Reason = at(second+0.08), at(second+0.9), "Error"
		p.EndpointGone = at(second + 0.6)
		code = 1
		p.Probes = append(p.Probes, record.Probe{Kind: record.Readiness, At: at(second + 0.1), Refused: true, Detail: "dial tcp 10.244.1.2:8080: connect: connection refused"})
	} else {
		p.Exited, p.Gone, p.Reason = at(second+6.2), at(second+6.8), "Completed"
		for k := range 60 {
			moment := second + 0.1*float64(k)
			p.Probes = append(p.Probes,
				record.Probe{Kind: record.Readiness, At: at(moment), Took: time.Millisecond, Status: 503, Problem: true},
				record.Probe{Kind: record.Liveness, At: at(moment), Took: time.Millisecond, Status: 200})
		}
		p.Probes = append(p.Probes, record.Probe{Kind: record.Liveness, At: at(second + 6.1), Refused: true})
		for k, line := range []string{"Received shutdown signal", "Initiating DD-007 Kubernetes-aware graceful shutdown",
			"Shutdown flag set - readiness probe now returns 503", "Waiting for Kubernetes endpoint removal propagation",
			"Endpoint removal propagation complete", "Draining in-flight HTTP connections", "HTTP connections drained successfully",
			"DD-007 Kubernetes-aware graceful shutdown complete"} {
			p.Milestones = append(p.Milestones, record.LogLine{At: at(second + 0.03 + 0.8*float64(k)), Text: line})
		}
	}
	p.Log = append(p.Log, record.LogLine{At: p.Signalled, Text: `{"level":"info","msg":"Received shutdown signal"}`})
	p.ExitCode = &code
	for k, j := range f.live {
		if j == i {
			f.live = append(f.live[:k], f.live[k+1:]...)
			break
		}
	}
}

// restart replaces all live pods one by one, like a Deployment with maxSurge 1 and
// maxUnavailable 0.
func (f *fixture) restart(n int, second float64, naive bool) (end float64) {
	revision := fmt.Sprintf("%dc5d4b%dff", n+3, n*3)
	began := second
	for _, old := range append([]int(nil), f.live...) {
		f.start(second, 1.2, revision)
		f.event(second, "Pod/"+f.run.Pods[len(f.run.Pods)-1].Name, "Scheduled", "assigned to node", false)
		f.stop(old, second+1.3, naive)
		f.event(second+1.3, "Pod/"+f.run.Pods[old].Name, "Killing", "Stopping container dynamic-toolset", false)
		second += 1.5
	}
	f.phase(fmt.Sprintf("rolling restart %d", n), record.Action, began, second)
	return second
}

func (f *fixture) event(second float64, object, reason, message string, warning bool) {
	f.run.Events = append(f.run.Events, record.EventLine{At: at(second), Object: object, Reason: reason, Message: message, Warning: warning})
}

func (f *fixture) phase(name string, kind record.PhaseKind, from, to float64) {
	f.run.Phases = append(f.run.Phases, record.Phase{Name: name, Kind: kind, Began: at(from), Ended: at(to)})
}

// traffic sends requests at a constant rate to random live pods. lose returns the
// outcome, the status and the duration of a request.
func (f *fixture) traffic(class record.Class, from, to, rate, latency float64, lose func(second float64) (record.Outcome, int, float64)) {
	n := int((to - from) * rate)
	for i := range n {
		due := from + float64(i)/rate
		q := record.Request{
			Class: class, Outcome: record.OK, Due: at(due), Sent: at(due + 0.0001), Method: "GET", Path: "/api/v1/toolsets", Status: 200,
			ConnectionAge: time.Duration(i) * time.Millisecond, ConnectionUse: i % 90,
		}
		took := latency * (0.6 + 0.8*f.random.Float64())
		if f.random.IntN(60) == 0 && latency < 1 {
			took *= 1 + 6*f.random.Float64()
		}
		if class == record.New {
			q.ConnectionAge, q.ConnectionUse = 0, 0
		}
		q.Pod = f.serving(due)
		if outcome, pod, lasted := lose(due); outcome != record.OK {
			q.Outcome, q.Status, took = outcome, 0, lasted
			q.Pod = ""
			if pod >= 0 {
				q.Pod, q.Inferred = f.run.Pods[pod].Name, true
			}
			q.SentAfterClose = class == record.Blind && outcome == record.EOFBefore && q.ConnectionUse > 0
			q.Detail = detailOf(outcome)
			q.Local = "172.30.0.1:40122"
		}
		q.End = at(due + took)
		f.run.Requests = append(f.run.Requests, q)
	}
}

func detailOf(o record.Outcome) string {
	switch o {
	case record.Refused:
		return "dial tcp 10.96.0.12:8080: connect: connection refused"
	case record.DialTimeout:
		return "dial tcp 10.96.0.12:8080: i/o timeout after 2s"
	}
	return "read tcp 172.30.0.1:40122->10.96.0.12:8080: connection reset by peer"
}

// serving returns a pod that was live at that time.
func (f *fixture) serving(second float64) string {
	t := at(second)
	for range 20 {
		p := &f.run.Pods[f.random.IntN(len(f.run.Pods))]
		if !p.Ready.After(t) && (p.Deleted.IsZero() || p.Deleted.After(t)) {
			return p.Name
		}
	}
	return f.run.Pods[0].Name
}

func never(float64) (record.Outcome, int, float64) { return record.OK, -1, 0 }

// cleanRun is a run like those of this project's service: three restarts, none lost.
func cleanRun() *record.Run {
	f := newFixture(62, 3)
	f.phase("baseline", record.Baseline, 0, 10)
	second := 10.0
	for n := range 3 {
		end := f.restart(n+1, second, false)
		f.phase("settle", record.Settle, end, []float64{26, 42, 62}[n])
		second += 16
	}
	f.allTraffic(62, never)
	f.run.Checks = []record.Check{
		{ID: "requests", Name: "no request is lost", Bound: "0 in every class", Measured: "0 of " + format.Grouped(len(f.run.Requests)), Result: record.Pass},
		{ID: "readiness", Name: "readiness answers 503 after SIGTERM", Bound: "within 1 s, with a problem document", Measured: "at most 70 ms, 9 pods", Result: record.Pass},
		{ID: "liveness", Name: "liveness answers 200 until the end", Bound: "each of 10 probes a second", Measured: "540 of 540", Result: record.Pass},
		{ID: "exit", Name: "pods exit with code 0 within the grace period", Bound: "0, within 45 s", Measured: "9 of 9, at most 6.2 s", Result: record.Pass},
		{ID: "sequence", Name: "the shutdown sequence is logged in order", Bound: "8 lines", Measured: "9 of 9 pods", Result: record.Pass},
		{ID: "latency", Name: "latency during the rollout", Bound: "no bound given", Measured: "p99 1.1 times the baseline", Result: record.Reported},
		{ID: "restarts", Name: "no container was restarted", Bound: "0", Measured: "turned off", Result: record.NotChecked},
	}
	return f.run
}

// naiveRun is a run of a server that exits at once on SIGTERM.
func naiveRun() *record.Run {
	f := newFixture(62, 3)
	f.phase("baseline", record.Baseline, 0, 10)
	second := 10.0
	for n := range 3 {
		end := f.restart(n+1, second, true)
		f.phase("settle", record.Settle, end, []float64{26, 42, 62}[n])
		second += 16
	}
	f.allTraffic(62, f.naiveLoss)
	f.event(11.5, "Pod/"+f.run.Pods[0].Name, "Unhealthy", "Readiness probe failed: connection refused", true)
	f.run.Notes = []string{"runAsUser 65532 could not be honoured: only one user id is mapped on this machine."}
	f.run.Checks = []record.Check{
		{ID: "requests", Name: "no request is lost", Bound: "0 in every class", Measured: "lost in 3 of 4 classes", Result: record.Fail,
			Evidence: []string{"new at 11.312 s: connection refused", "blind at 11.330 s: reset before response on dynamic-toolset-7d9f8c6b5-8x2kd",
				"new at 11.338 s: connection refused", "new at 11.342 s: connection refused", "slow at 11.351 s: connection refused", "and 513 more"}},
		{ID: "readiness", Name: "readiness answers 503 after SIGTERM", Bound: "within 1 s, with a problem document", Measured: "9 of 9 pods never did", Result: record.Fail,
			Evidence: []string{"dynamic-toolset-7d9f8c6b5-8x2kd: no connection could be made 70 ms after SIGTERM"}},
		{ID: "exit", Name: "pods exit with code 0 within the grace period", Bound: "0, within 45 s", Measured: "code 1: 9 of 9 pods", Result: record.Fail},
		{ID: "liveness", Name: "liveness answers 200 until the end", Bound: "each of 10 probes a second", Measured: "the listener was closed before the first probe", Result: record.NotChecked},
		{ID: "kill", Name: "no pod had to be killed", Bound: "no SIGKILL", Measured: "0 of 9 pods", Result: record.Pass},
	}
	f.run.Causes = cause.Find(f.run)
	return f.run
}

// warnedRun is a run of a server that stops as it should, but closes idle connections
// without an announcement.
func warnedRun() *record.Run {
	f := newFixture(30, 3)
	f.phase("baseline", record.Baseline, 0, 10)
	end := f.restart(1, 10, false)
	f.phase("settle", record.Settle, end, 30)
	f.allTraffic(30, never)
	lost := 0
	for i := range f.run.Requests {
		q := &f.run.Requests[i]
		pod := f.run.Pods[i%3]
		if since := q.Sent.Sub(pod.Deleted); q.Class == record.Blind && q.ConnectionUse > 0 && since > 5500*time.Millisecond && since < 6*time.Second && lost < 31 {
			lost++
			q.Outcome, q.Status, q.SentAfterClose, q.Pod, q.Inferred, q.Detail = record.EOFBefore, 0, true, pod.Name, true, "EOF"
		}
	}
	f.run.Checks = []record.Check{
		{ID: "requests-pooled", Name: "pooled clients lose no request", Bound: "0 lost", Measured: "0 of 2,700 lost", Result: record.Pass},
		{ID: "requests-blind", Name: "blind clients lose no request", Bound: "0 lost", Measured: "31 of 2,700 lost, all sent after the server had closed the connection", Result: record.Warning,
			Evidence: []string{"at 15.712 s: EOF before response, GET /api/v1/toolsets (and 30 more like it)"}},
		{ID: "exit", Name: "pods exit with code 0 within the grace period", Bound: "0, within 45 s", Measured: "3 of 3, at most 6.2 s", Result: record.Pass},
		{ID: "log-lines", Name: "the shutdown sequence is logged in order", Bound: "each DD-007 line, once", Measured: "not asked for", Result: record.NotChecked},
	}
	f.run.Causes = cause.Find(f.run)
	return f.run
}

// fixedRun is a naive server's run, and one with a changed manifest.
func fixedRun() *record.Run {
	run := naiveRun()
	run.Fixed = warnedRun()
	return run
}

func (f *fixture) allTraffic(seconds float64, lose func(float64) (record.Outcome, int, float64)) {
	f.run.Load = []record.Client{
		{Class: record.Pooled, Rate: 90, Connections: 15, Late: 300 * time.Microsecond},
		{Class: record.Blind, Rate: 90, Connections: 15, Late: 300 * time.Microsecond},
		{Class: record.New, Rate: 100, Late: 280 * time.Microsecond},
		{Class: record.Slow, Rate: 20, Duration: 3 * time.Second, Late: 250 * time.Microsecond},
		{Class: record.Stream, Connections: 10},
	}
	f.traffic(record.Pooled, 0, seconds, 90, 0.0012, lose)
	f.traffic(record.Blind, 0, seconds, 90, 0.0012, lose)
	f.traffic(record.New, 0, seconds, 100, 0.0021, lose)
	f.traffic(record.Slow, 0, seconds-3, 20, 1.9, lose)
	f.traffic(record.Stream, 0, seconds-7, 2, 5, never)
}

// naiveLoss loses requests that are sent to a pod between its end and its removal from
// the endpoints.
func (f *fixture) naiveLoss(second float64) (record.Outcome, int, float64) {
	t := at(second)
	for i := range f.run.Pods {
		p := &f.run.Pods[i]
		if p.Exited.IsZero() || t.Before(p.Exited.Add(-30*time.Millisecond)) || t.After(p.EndpointGone.Add(200*time.Millisecond)) || f.random.IntN(3) != 0 {
			continue
		}
		switch {
		case t.Before(p.Exited):
			return record.ResetBefore, i, 0.004
		case t.Before(p.EndpointGone) && f.random.IntN(4) > 0:
			return record.Refused, -1, 0.0006
		case t.Before(p.EndpointGone):
			return record.EOFBefore, i, 0.0007
		case f.random.IntN(6) == 0:
			return record.DialTimeout, -1, 2
		}
	}
	return record.OK, -1, 0
}
