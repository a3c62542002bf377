package defects_test

import (
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// caught returns a run in which a case shows what it must, and nothing else.
func caught(c *defects.Case) *record.Run {
	run := &record.Run{Checks: []record.Check{{ID: verdict.RestartsID, Result: record.Pass}, {ID: verdict.LatencyID, Result: record.Reported}}}
	for _, id := range c.Checks {
		fail(run, id)
	}
	for _, l := range c.Losses {
		class := l.Class
		if class == "" {
			class = record.Stream
		}
		run.Requests = append(run.Requests, record.Request{Class: class, Outcome: l.By[len(l.By)-1]})
	}
	run.Requests = append(run.Requests, record.Request{Class: record.New, Outcome: record.OK})
	return run
}

func fail(run *record.Run, id string) {
	run.Checks = append(run.Checks, record.Check{ID: id, Result: record.Fail})
}

// A defect is caught only if everything that is required for it was seen.
func TestJudgeDefects(t *testing.T) {
	for _, c := range defects.Planted() {
		t.Run(c.Name, func(t *testing.T) {
			if len(c.Checks) == 0 {
				t.Fatal("no check must catch it")
			}
			if err := c.Judge(caught(&c)); err != nil {
				t.Fatalf("not caught: %v", err)
			}
			expect := func(what, want string, spoil func(*record.Run)) {
				t.Helper()
				run := caught(&c)
				spoil(run)
				if err := c.Judge(run); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, not %q", what, err, want)
				}
			}
			expect("nothing failed", "the run passed", func(r *record.Run) { r.Checks = r.Checks[:1] })
			expect("no pod was met", "met no pod", func(r *record.Run) { fail(r, verdict.CoverageID) })
			for _, id := range c.Checks {
				expect(id+" did not fail", "the check "+id+" did not fail", func(r *record.Run) {
					r.Checks = slices.DeleteFunc(r.Checks, func(check record.Check) bool { return check.ID == id })
					fail(r, "another")
				})
			}
			for i, l := range c.Losses {
				expect("a loss was not seen", "request was lost by "+string(l.By[0]), func(r *record.Run) {
					r.Requests = append(slices.Delete(r.Requests, i, i+1), record.Request{Class: l.Class, Outcome: record.WrongBody})
				})
				if l.Class != "" {
					expect("a loss was of another class", "no "+string(l.Class)+" request was lost", func(r *record.Run) { r.Requests[i].Class = "other" })
				}
			}
			run := caught(&c)
			fail(run, verdict.BaselineID)
			if err := c.Judge(run); (err == nil) != c.FromStart {
				t.Errorf("lost in the baseline: %v", err)
			}
		})
	}
}

func TestJudgeRight(t *testing.T) {
	right := defects.Right()
	run := caught(&right)
	if err := right.Judge(run); err != nil {
		t.Error(err)
	}
	fail(run, verdict.LoadID) // the host's fault
	if err := right.Judge(run); err != nil {
		t.Error(err)
	}
	fail(run, verdict.ReadinessID)
	if err := right.Judge(run); err == nil || !strings.HasSuffix(err.Error(), "failed: readiness") {
		t.Errorf("%v", err)
	}
	if err := right.Judge(&record.Run{Checks: []record.Check{{ID: verdict.LatencyID, Result: record.Reported}}}); err == nil {
		t.Error("a run without a check passed")
	}
}

func TestNamed(t *testing.T) {
	for _, want := range append(defects.Planted(), defects.Right()) {
		if got, err := defects.Named(want.Name); err != nil || got.About != want.About {
			t.Errorf("%q: %+v, %v", want.Name, got, err)
		}
	}
	if _, err := defects.Named("none-such"); err == nil || !strings.Contains(err.Error(), "none-such") {
		t.Error(err)
	}
}
