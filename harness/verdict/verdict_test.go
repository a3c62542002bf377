package verdict_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

var (
	began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lines = []string{"Received shutdown signal", "Draining", "complete"}
	rules = verdict.Rules{
		Readiness: true, Liveness: true, Problems: true, Milestones: lines, Classes: record.Classes, Terminations: true, Strict: true,
	}
)

// at is a moment of the run.
func at(seconds float64) time.Time {
	return began.Add(time.Duration(seconds * float64(time.Second)))
}

func ptr[T any](v T) *T { return &v }

// clean returns a run without a defect: ten seconds, pod a told to stop at 4 s, its
// endpoint gone at 4.5 s, its listener closed at 9 s.
func clean() *record.Run {
	run := &record.Run{
		Began: began, Ended: at(10),
		Phases: []record.Phase{
			{Name: "baseline", Kind: record.Baseline, Began: at(0), Ended: at(3.9)},
			{Name: "rolling restart 1", Kind: record.Action, Began: at(3.9), Ended: at(8)},
		},
	}
	for _, c := range record.Classes {
		run.Load = append(run.Load, record.Client{Class: c, Late: time.Millisecond})
	}
	request := func(class record.Class, sent, end float64) {
		run.Requests = append(run.Requests, record.Request{
			Class: class, Outcome: record.OK, Due: at(sent), Sent: at(sent), End: at(end), Method: "GET", Path: "/", Status: 200, Pod: "a",
		})
	}
	for i := range 40 {
		s := float64(i) / 10
		request(record.Pooled, s, s+0.01)
		request(record.Blind, s, s+0.01)
		request(record.New, s, s+0.01)
	}
	for i := range 40 { // after the update, by another pod
		s := 4 + float64(i)/10
		request(record.Blind, s, s+0.02)
		run.Requests[len(run.Requests)-1].Pod = "b"
	}
	request(record.Slow, 2, 8)
	request(record.Stream, 0, 9)
	request(record.Blind, 1, 1.01)
	run.Requests[len(run.Requests)-1].Status = 404 // as expected, and a problem document
	a := record.Pod{
		Name: "a", Created: at(-60), Ready: at(-50), Deleted: at(4), Signalled: at(4.05), EndpointGone: at(4.5), Exited: at(9.2), Gone: at(9.4),
		Grace: 45 * time.Second, ExitCode: ptr(0), Reason: "Completed",
	}
	for i := range 50 {
		when := 4.01 + float64(i)/10
		readiness := record.Probe{Kind: record.Readiness, At: at(when), Status: 503, Problem: true}
		if when < 4.2 {
			readiness = record.Probe{Kind: record.Readiness, At: at(when), Status: 200}
		}
		a.Probes = append(a.Probes, readiness, record.Probe{Kind: record.Liveness, At: at(when), Status: 200})
	}
	a.Probes = append(a.Probes, record.Probe{Kind: record.Readiness, At: at(9.05), Refused: true}, record.Probe{Kind: record.Liveness, At: at(9.05), Refused: true})
	for _, l := range lines {
		a.Milestones = append(a.Milestones, record.LogLine{At: at(5), Text: `{"msg":"` + l + `"}`})
	}
	run.Pods = []record.Pod{a, {Name: "b", Created: at(3.9), Ready: at(4)}}
	return run
}

func TestCleanRunPasses(t *testing.T) {
	run := clean()
	run.Checks = verdict.Judge(run, rules)
	for _, c := range run.Checks {
		want := record.Pass
		if c.ID == verdict.LatencyID {
			want = record.Reported
		}
		if c.Result != want {
			t.Errorf("%s: %s, %s, %q", c.ID, c.Result, c.Measured, c.Evidence)
		}
	}
	if !run.Passed() || len(run.Checks) != 5+12 {
		t.Errorf("passed %v, %d checks", run.Passed(), len(run.Checks))
	}
}

// On a busy host a probe from before readiness failed may be answered after a later
// one, and be behind it in the list.
func TestProbesThatOverlap(t *testing.T) {
	run := clean()
	probes := run.Pods[0].Probes
	early := slices.IndexFunc(probes, func(p record.Probe) bool { return p.Kind == record.Readiness && p.Status == 200 })
	probes[early].Took = 600 * time.Millisecond
	run.Pods[0].Probes = append(slices.Delete(slices.Clone(probes), early, early+1), probes[early])
	for _, c := range verdict.Judge(run, rules) {
		if c.Result == record.Fail {
			t.Errorf("%s: %s, %q", c.ID, c.Measured, c.Evidence)
		}
	}
}

// Each defect is caught by its check, and by no others than those given.
func TestEachCheckCatchesItsDefect(t *testing.T) {
	probes := func(change func(*record.Probe)) func(*record.Run) {
		return func(r *record.Run) {
			for i := range r.Pods[0].Probes {
				change(&r.Pods[0].Probes[i])
			}
		}
	}
	lose := func(class record.Class, outcome record.Outcome, sent float64) func(*record.Run) {
		return func(r *record.Run) {
			r.Requests = append(r.Requests, record.Request{Class: class, Outcome: outcome, Due: at(sent), Sent: at(sent), End: at(sent + 0.001)})
		}
	}
	for name, c := range map[string]struct {
		spoil    func(*record.Run)
		ids      []string
		evidence string
	}{
		"a blind request is lost": {lose(record.Blind, record.EOFBefore, 5), []string{"requests-blind"}, "EOF before response"},
		"a new request is lost":   {lose(record.New, record.Refused, 5), []string{"requests-new"}, "a pod unknown"},
		"a slow request is lost":  {lose(record.Slow, record.EOFMid, 5), []string{"requests-slow"}, "EOF mid-response"},
		"a stream breaks":         {lose(record.Stream, record.StreamBroken, 5), []string{"requests-stream"}, "without goodbye"},
		"something is lost early": {lose(record.New, record.ResponseTimeout, 1), []string{"requests-new", verdict.BaselineID}, "response timeout"},
		"readiness stays 200":     {probes(func(p *record.Probe) { p.Status = min(p.Status, 200) }), []string{verdict.ReadinessID}, "status 200, which is not failing"},
		"readiness fails late":    {probes(func(p *record.Probe) { late(p, 1.3) }), []string{verdict.ReadinessID}, "after SIGTERM"},
		"readiness recovers":      {func(r *record.Run) { r.Pods[0].Probes[60].Status = 200 }, []string{verdict.ReadinessID}, "after it had failed"},
		"readiness never answers": {probes(func(p *record.Probe) { silence(p, record.Readiness) }), []string{verdict.ReadinessID}, "never answered that it is not ready"},
		"liveness fails":          {func(r *record.Run) { r.Pods[0].Probes[41].Status, r.Pods[0].Probes[41].Problem = 503, true }, []string{verdict.LivenessID}, "status 503"},
		"liveness never answers":  {probes(func(p *record.Probe) { silence(p, record.Liveness) }), []string{verdict.LivenessID}, "no liveness probe"},
		"a connection is refused": {func(r *record.Run) {
			r.Pods[0].Probes[6] = record.Probe{Kind: record.Readiness, At: at(4.3), Refused: true}
		}, []string{verdict.RefusedID}, "200ms before"},
		"the endpoint stays":         {func(r *record.Run) { r.Pods[0].EndpointGone = time.Time{} }, []string{verdict.RefusedID}, "never seen to go"},
		"the pod is killed":          {func(r *record.Run) { *r.Pods[0].ExitCode, r.Pods[0].Reason = 137, "Error" }, []string{verdict.GraceID, verdict.ExitCodeID}, "killed"},
		"the pod never ends":         {func(r *record.Run) { r.Pods[0].Exited, r.Pods[0].Gone = time.Time{}, time.Time{} }, []string{verdict.GraceID}, "still there"},
		"the exit code is 1":         {func(r *record.Run) { *r.Pods[0].ExitCode, r.Pods[0].Reason = 1, "Error" }, []string{verdict.ExitCodeID}, "exit code 1 (Error)"},
		"the exit code is unseen":    {func(r *record.Run) { r.Pods[0].ExitCode = nil }, []string{verdict.ExitCodeID}, "not seen"},
		"a log line is missing":      {func(r *record.Run) { r.Pods[0].Milestones = r.Pods[0].Milestones[:2] }, []string{verdict.MilestonesID}, `no line "complete"`},
		"the lines are out of order": {func(r *record.Run) { slices.Reverse(r.Pods[0].Milestones) }, []string{verdict.MilestonesID}, `"complete" where`},
		"a line comes twice": {func(r *record.Run) {
			r.Pods[0].Milestones = append(r.Pods[0].Milestones, r.Pods[0].Milestones[2])
		}, []string{verdict.MilestonesID}, "once more"},
		"an error is plain text": {func(r *record.Run) {
			last := &r.Requests[len(r.Requests)-1]
			last.Outcome = record.NotProblem
		}, []string{"requests-blind", verdict.BaselineID, verdict.ProblemsID}, "no problem document"},
		"a probe's error is plain text": {func(r *record.Run) { r.Pods[0].Probes[60].Problem = false }, []string{verdict.ProblemsID}, "readiness probe of a"},
		"a container restarts":          {func(r *record.Run) { r.Pods[1].Restarts = 1 }, []string{verdict.RestartsID}, "b: restarted"},
		"requests are skipped":          {func(r *record.Run) { r.Load[0].Skipped = 7 }, []string{verdict.LoadID}, "7 requests"},
		"the load is late":              {func(r *record.Run) { r.Load[1].Late = time.Second }, []string{verdict.LoadID}, "late"},
		"slow requests are not slow":    {func(r *record.Run) { r.Load[2].Sent, r.Load[2].Early = 20, 3 }, []string{verdict.LoadID}, "before their time"},
		"the load says nothing":         {func(r *record.Run) { r.Load = nil }, []string{verdict.LoadID}, "no account"},
		"no slow request is there": {func(r *record.Run) {
			r.Requests = slices.DeleteFunc(r.Requests, func(q record.Request) bool { return q.Class == record.Slow })
			r.Requests = append(r.Requests, record.Request{Class: record.Slow, Outcome: record.OK, Sent: at(1), End: at(2), Pod: "a"})
		}, []string{verdict.CoverageID}, "no slow request was on any"},
		"a class sends nothing": {func(r *record.Run) {
			r.Requests = slices.DeleteFunc(r.Requests, func(q record.Request) bool { return q.Class == record.Stream })
		}, []string{"requests-stream", verdict.CoverageID}, ""},
		"no pod stops": {func(r *record.Run) { r.Pods = r.Pods[1:] }, []string{
			verdict.ReadinessID, verdict.LivenessID, verdict.RefusedID, verdict.GraceID, verdict.ExitCodeID, verdict.MilestonesID, verdict.CoverageID,
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run := clean()
			c.spoil(run)
			run.Checks = verdict.Judge(run, rules)
			var failed, evidence []string
			for _, check := range run.Checks {
				if check.Result == record.Fail {
					failed = append(failed, check.ID)
					evidence = append(evidence, check.Evidence...)
					if len(check.Evidence) == 0 || check.Measured == "" {
						t.Errorf("%s fails without saying why: %+v", check.ID, check)
					}
				}
			}
			slices.Sort(failed)
			slices.Sort(c.ids)
			if !slices.Equal(failed, c.ids) {
				t.Errorf("caught by %v, not by %v: %q", failed, c.ids, evidence)
			}
			if !strings.Contains(strings.Join(evidence, "\n"), c.evidence) {
				t.Errorf("no evidence %q in %q", c.evidence, evidence)
			}
			if run.Passed() {
				t.Error("the run passed")
			}
		})
	}
}

// late delays the first 503 to so many seconds after SIGTERM.
func late(p *record.Probe, seconds float64) {
	if p.Kind == record.Readiness && p.Status == 503 && p.At.Before(at(4.05+seconds)) {
		p.Status = 200
	}
}

func silence(p *record.Probe, kind record.ProbeKind) {
	if p.Kind == kind {
		p.Status = 0
	}
}

func TestWhatDoesNotApplyIsNotChecked(t *testing.T) {
	run := clean()
	run.Pods = run.Pods[1:] // nothing stops
	for i := range run.Requests {
		run.Requests[i].Pod = ""
	}
	run.Checks = verdict.Judge(run, verdict.Rules{Classes: record.Classes})
	for _, c := range run.Checks {
		want := record.NotChecked
		switch c.ID {
		case verdict.LatencyID:
			want = record.Reported
		case verdict.BaselineID, verdict.LoadID, verdict.RestartsID:
			want = record.Pass
		default:
			if strings.HasPrefix(c.ID, "requests-") {
				want = record.Pass
			}
		}
		if c.Result != want || c.Result == record.NotChecked && c.Measured == "" {
			t.Errorf("%s: %s (%s), not %s", c.ID, c.Result, c.Measured, want)
		}
	}
	if !run.Passed() {
		t.Error("what is not checked made it fail")
	}
	if empty := (&record.Run{Checks: []record.Check{{Result: record.NotChecked}}}); empty.Passed() {
		t.Error("a run in which nothing was checked passed")
	}
}

// A pod whose end was not seen, for example on a node that was cut off, proves nothing.
func TestLostPodsAreLeftOut(t *testing.T) {
	run := clean()
	run.Pods = append(run.Pods, record.Pod{Name: "c", Deleted: at(5), Gone: at(6), Lost: true})
	if run.Checks = verdict.Judge(run, rules); !run.Passed() {
		t.Errorf("%+v", run.Checks)
	}
}

// If the pod does not log SIGTERM, the kubelet's event counts. The deletion may be a
// second earlier.
func TestReadinessCountsFromWhatIsKnown(t *testing.T) {
	result := func(change func(*record.Pod), rules verdict.Rules) record.Check {
		run := clean()
		run.Pods[0].Signalled = time.Time{}
		run.Pods[0].Deleted = at(3) // the first 503 is at 4.21 s
		change(&run.Pods[0])
		for _, c := range verdict.Judge(run, rules) {
			if c.ID == verdict.ReadinessID {
				return c
			}
		}
		return record.Check{}
	}
	if c := result(func(*record.Pod) {}, rules); c.Result != record.Fail || !strings.Contains(c.Evidence[0], "--signal-line") {
		t.Errorf("%+v", c)
	}
	if c := result(func(p *record.Pod) { p.Killing = at(3.9) }, rules); c.Result != record.Pass {
		t.Errorf("%+v", c)
	}
	if c := result(func(p *record.Pod) { p.Killing = at(2.5) }, rules); c.Result != record.Fail || !strings.Contains(c.Evidence[0], "the kubelet began") {
		t.Errorf("%+v", c)
	}
	hook := rules
	hook.PreStop = true
	if c := result(func(p *record.Pod) { p.Killing = at(2.5) }, hook); c.Result != record.NotChecked {
		t.Errorf("%+v", c)
	}
	if c := result(func(p *record.Pod) { p.Signalled = at(4.05) }, hook); c.Result != record.Pass {
		t.Errorf("%+v", c)
	}
}

// An inferred pod does not count for the coverage of a class.
func TestCoverageNeedsTheResponsesWord(t *testing.T) {
	run := clean()
	for i := range run.Requests {
		run.Requests[i].Pod, run.Requests[i].Inferred = "", false
	}
	run.Requests[0].Pod, run.Requests[0].Inferred = "a", true
	for _, c := range verdict.Judge(run, rules) {
		if c.ID == verdict.CoverageID && c.Result != record.NotChecked {
			t.Errorf("%+v", c)
		}
	}
}

// A stream that ended when its pod was told to stop counts, though the time of that log
// line is a little later.
func TestCoverageOfStreamsThatEndAtOnce(t *testing.T) {
	for before, want := range map[time.Duration]record.Result{
		50 * time.Millisecond: record.Pass, 500 * time.Millisecond: record.Fail,
	} {
		run := clean()
		for i := range run.Requests {
			if q := &run.Requests[i]; q.Class == record.Stream {
				q.End = run.Pods[0].TermBegan().Add(-before)
			}
		}
		for _, c := range verdict.Judge(run, rules) {
			if c.ID == verdict.CoverageID && c.Result != want {
				t.Errorf("%s before: %+v", before, c)
			}
		}
	}
}

func TestLatencyBound(t *testing.T) {
	for factor, want := range map[float64]record.Result{0: record.Reported, 1.5: record.Fail, 3: record.Pass} {
		r := rules
		r.MaxLatencyFactor = factor
		for _, c := range verdict.Judge(clean(), r) { // 20 ms after 10 ms
			if c.ID == verdict.LatencyID && (c.Result != want || !strings.Contains(c.Measured, "factor 2.0")) {
				t.Errorf("at most %g: %s, %s", factor, c.Result, c.Measured)
			}
		}
	}
}

// Of many cases of many kinds, the first of each of the first kinds is shown.
func TestKindsOfEvidence(t *testing.T) {
	run := clean()
	for i := range 70 {
		run.Requests = append(run.Requests, record.Request{Class: record.New, Outcome: record.Failures[i%7], End: at(5), Pod: []string{"a", "b"}[i/7%2], Detail: fmt.Sprintf("10.0.0.%d:80", i)})
	}
	for _, c := range verdict.Judge(run, rules) {
		if c.ID != "requests-new" {
			continue
		}
		if len(c.Evidence) != 6 || c.Evidence[5] != "and 20 more, of other kinds" || !strings.Contains(c.Evidence[1], string(record.Failures[1])) || !strings.HasSuffix(c.Evidence[1], "(and 9 more like it)") {
			t.Errorf("%q", c.Evidence)
		}
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	run := clean()
	for range 100 {
		run.Requests = append(run.Requests, record.Request{Class: record.New, Outcome: record.Refused, End: at(5)})
	}
	for _, c := range verdict.Judge(run, rules) {
		if c.ID == "requests-new" && (len(c.Evidence) != 1 || !strings.HasSuffix(c.Evidence[0], " (and 99 more like it)") || c.Measured != "100 of 140 lost") {
			t.Errorf("%+v", c)
		}
	}
}
