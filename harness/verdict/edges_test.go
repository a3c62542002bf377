package verdict_test

import (
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// What ends after the baseline is not its loss: what is done then may be the cause.
func TestBaselineIsWhatEndedInIt(t *testing.T) {
	for _, c := range []struct {
		end  float64
		want record.Result
	}{{3.8, record.Fail}, {4.2, record.Pass}} {
		run := clean()
		run.Requests = append(run.Requests, record.Request{Class: record.Slow, Outcome: record.EOFMid, Due: at(3.5), Sent: at(3.5), End: at(c.end)})
		for _, check := range verdict.Judge(run, rules) {
			if check.ID == verdict.BaselineID && check.Result != c.want {
				t.Errorf("lost at %g s: %s, %s", c.end, check.Result, check.Measured)
			}
		}
	}
}

// A kubelet takes 200 to 399 for ready.
func TestReadinessAsAKubeletReadsIt(t *testing.T) {
	for status, want := range map[int]record.Result{101: record.Pass, 204: record.Fail, 302: record.Fail, 404: record.Pass, 500: record.Pass} {
		run := clean()
		for i := range run.Pods[0].Probes {
			if p := &run.Pods[0].Probes[i]; p.Kind == record.Readiness && p.Status == 503 {
				p.Status = status
			}
		}
		for _, check := range verdict.Judge(run, rules) {
			if check.ID == verdict.ReadinessID && check.Result != want {
				t.Errorf("status %d: %s, %q", status, check.Result, check.Evidence)
			}
		}
	}
}

// A probe that was sent before the first 503 had arrived may be of the time before it.
func TestProbeSentBeforeTheFirstFailureArrived(t *testing.T) {
	for _, c := range []struct {
		sent float64 // after the first failing probe, which took 400 ms
		want record.Result
	}{{0.3, record.Pass}, {0.5, record.Fail}} {
		run := clean()
		var kept []record.Probe
		for _, p := range run.Pods[0].Probes {
			if p.Kind != record.Readiness || p.Status != 503 || p.At.After(at(5)) {
				kept = append(kept, p)
			}
		}
		run.Pods[0].Probes = append(kept,
			record.Probe{Kind: record.Readiness, At: at(4.3), Took: 400 * time.Millisecond, Status: 503, Problem: true},
			record.Probe{Kind: record.Readiness, At: at(4.3 + c.sent), Took: time.Millisecond, Status: 200})
		for _, check := range verdict.Judge(run, rules) {
			if check.ID == verdict.ReadinessID && check.Result != c.want {
				t.Errorf("200 to a probe sent %g s after the first that failed: %s, %q", c.sent, check.Result, check.Evidence)
			}
		}
	}
}
