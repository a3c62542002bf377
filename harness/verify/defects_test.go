package verify_test

import (
	"fmt"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// Each planted defect is caught by the check that is named for it in the design,
// and in the way named there. A verifier that lets one pass is broken.
func TestPlantedDefectsAreCaught(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	reused, fresh, slow := verdict.RequestsID(record.Reused), verdict.RequestsID(record.New), verdict.RequestsID(record.Slow)
	for _, d := range []struct {
		defect string
		grace  int
		checks []string // each must fail
		// Requests of class must be lost in one of these ways.
		class    record.Class
		outcomes []record.Outcome
	}{
		{"exits-at-once", 30, []string{fresh, slow}, "", []record.Outcome{record.EOFMid, record.ResetMid}},
		{"exits-at-once", 30, []string{fresh}, record.New, []record.Outcome{record.Refused, record.DialTimeout, record.DialFailed, record.ResetBefore, record.EOFBefore}},
		{"no-propagation-wait", 30, []string{fresh}, record.New, []record.Outcome{record.Refused, record.DialTimeout}},
		{"ignores-sigterm", 8, []string{verdict.GraceID}, "", nil},
		{"closes-idle-connections", 30, []string{reused}, record.Reused, []record.Outcome{record.EOFBefore, record.ResetBefore}},
		{"abandons-in-flight", 30, []string{slow}, record.Slow, []record.Outcome{record.EOFMid, record.ResetMid}},
		{"readiness-stays-200", 30, []string{verdict.ReadinessID}, "", nil},
		{"liveness-fails", 30, []string{verdict.LivenessID}, "", nil},
		{"drain-exceeds-grace", 8, []string{verdict.GraceID}, "", nil},
		{"503-while-draining", 30, []string{reused}, "", []record.Outcome{record.UnexpectedStatus}},
		{"plain-text-errors", 30, []string{verdict.ProblemsID}, "", []record.Outcome{record.NotProblem}},
		{"exit-code-1", 30, []string{verdict.ExitCodeID}, "", nil},
		{"resets-accept-queue", 30, []string{fresh}, record.New, []record.Outcome{record.ResetBefore}},
	} {
		name := d.defect
		if d.class != "" {
			name += "-" + string(d.class)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, err := verify.Run(t.Context(), c, subject(t, "defect-"+name, d.grace, "--defect="+d.defect))
			if err != nil {
				t.Fatal(err)
			}
			tell(t, run)
			failed := failures(run)
			if run.Passed() {
				t.Error("the run passed")
			}
			for _, id := range d.checks {
				if _, ok := failed[id]; !ok {
					t.Errorf("the check %s did not fail", id)
				}
			}
			if d.outcomes != nil && lost(run, d.class, d.outcomes...) == 0 {
				t.Errorf("no %s request was lost by %v", d.class, d.outcomes)
			}
			if check, ok := failed[verdict.CoverageID]; ok {
				t.Errorf("the run met no pod that was told to stop: %s %q", check.Measured, check.Evidence)
			}
			if check, ok := failed[verdict.BaselineID]; ok && d.defect != "plain-text-errors" {
				t.Errorf("lost before anything was done: %q", check.Evidence)
			}
		})
	}
}

// A verifier that fails everything would catch every defect, too.
func TestRightServerPassesTenRuns(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for i := range 10 {
		o := subject(t, fmt.Sprintf("right-%d", i+1), 30)
		if i%2 == 1 {
			o.Signal = "" // as of a server that doesn't tell when it receives SIGTERM
		}
		run, err := verify.Run(t.Context(), c, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("run %d", i+1)
		wantRight(t, run)
	}
}
