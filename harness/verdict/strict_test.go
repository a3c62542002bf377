package verdict_test

import (
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// What no client need notice is a warning with the evidence of a failure, and a failure
// with strict rules.
func TestWhatNoClientNeedNotice(t *testing.T) {
	sentAfterClose := record.Request{Class: record.Blind, Outcome: record.EOFBefore, SentAfterClose: true, Sent: at(5), End: at(5.001)}
	crossed := record.Request{Class: record.Blind, Outcome: record.ResetBefore, Sent: at(5), End: at(5.001)}
	probes := func(kind record.ProbeKind, status int) func(*record.Run) {
		return func(r *record.Run) {
			for i := range r.Pods[0].Probes {
				if p := &r.Pods[0].Probes[i]; p.Kind == kind && p.Status != 0 {
					p.Status = status
				}
			}
		}
	}
	lose := func(lost ...record.Request) func(*record.Run) {
		return func(r *record.Run) { r.Requests = append(r.Requests, lost...) }
	}
	for name, c := range map[string]struct {
		spoil    func(*record.Run)
		id       string
		want     record.Result // unless the rules are strict
		measured string
	}{
		"readiness stays 200":       {probes(record.Readiness, 200), verdict.ReadinessID, record.Warning, ""},
		"readiness redirects":       {probes(record.Readiness, 302), verdict.ReadinessID, record.Warning, ""},
		"readiness fails with 500":  {probes(record.Readiness, 500), verdict.ReadinessID, record.Pass, ""},
		"readiness fails with 404":  {probes(record.Readiness, 404), verdict.ReadinessID, record.Pass, ""},
		"liveness fails":            {probes(record.Liveness, 500), verdict.LivenessID, record.Warning, ""},
		"the exit code is Java's":   {func(r *record.Run) { *r.Pods[0].ExitCode = 143 }, verdict.ExitCodeID, record.Warning, ""},
		"only blind clients lose":   {lose(sentAfterClose), "requests-blind", record.Warning, "clients that look would lose none"},
		"any client would lose":     {lose(crossed), "requests-blind", record.Fail, "1 of"},
		"blind and others lose":     {lose(sentAfterClose, crossed), "requests-blind", record.Fail, "1 by any client"},
		"a response is cut":         {lose(record.Request{Class: record.Blind, Outcome: record.EOFMid, SentAfterClose: true, Sent: at(5), End: at(5)}), "requests-blind", record.Fail, "1 of"},
		"nobody was killed in time": {func(r *record.Run) { *r.Pods[0].ExitCode = 137 }, verdict.GraceID, record.Fail, ""},
	} {
		for _, strict := range []bool{false, true} {
			run := clean()
			c.spoil(run)
			r := rules
			r.Strict, r.Problems = strict, false
			want := c.want
			if strict && want == record.Warning {
				want = record.Fail
			}
			run.Checks = verdict.Judge(run, r)
			for _, check := range run.Checks {
				if check.ID != c.id {
					continue
				}
				if check.Result != want || !strings.Contains(check.Measured, c.measured) || want != record.Pass && len(check.Evidence) == 0 {
					t.Errorf("%s, strict %v: %+v, not %s", name, strict, check, want)
				}
			}
			if passed := want != record.Fail; run.Passed() != passed {
				t.Errorf("%s, strict %v: passed %v", name, strict, run.Passed())
			}
		}
	}
}

// Without paths to probe at, connections still show whether the pod accepts them.
func TestRefusedWithoutPaths(t *testing.T) {
	for refused, want := range map[bool]record.Result{false: record.Pass, true: record.Fail} {
		run := clean()
		run.Pods[0].Probes = []record.Probe{{Kind: record.Connection, At: at(4.2), Took: time.Millisecond, Refused: refused}}
		for _, c := range verdict.Judge(run, verdict.Rules{Classes: record.Classes, Terminations: true}) {
			if c.ID == verdict.RefusedID && c.Result != want {
				t.Errorf("refused %v: %+v", refused, c)
			}
			if c.ID == verdict.ReadinessID && c.Result != record.NotChecked {
				t.Errorf("%+v", c)
			}
		}
	}
}
