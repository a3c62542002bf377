// Package defectstest holds verifications to what must be said of a case of package defects,
// for the tests of every cluster.
package defectstest

import (
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Verify fails the test if a verification does not say of c what it must. On a busy machine
// pods may start too late for a verification to be done, the load generator may be too late
// to meet the pods, or lose a request by that, and whoever asks the pods may ask too late to
// see one not ready in time: where one of these was seen and others had the machine, it is
// done again, twice at most. verify does it; try counts from 1.
func Verify(t *testing.T, c defects.Case, verify func(try int) (*record.Run, error)) *record.Run {
	t.Helper()
	what, try := "whether a right server passes", 0
	if c.Name != "" {
		what = "whether the defect " + c.Name + " is caught"
	}
	var run *record.Run
	err := testenv.Measure(t, what, func() (excused bool, err error) {
		try++
		if run, err = verify(try); err != nil {
			return true, err
		}
		tell(t, run)
		late := slices.ContainsFunc(defects.Failed(run), func(id string) bool {
			return (id == verdict.LoadID || id == verdict.ReadinessID) && !slices.Contains(c.Checks, id)
		})
		return late, c.Judge(run)
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// tell logs a run for whoever reads the test's output.
func tell(t *testing.T, run *record.Run) {
	t.Helper()
	lost := 0
	for i := range run.Requests {
		if run.Requests[i].Failed() {
			lost++
		}
	}
	t.Logf("%d requests, %d lost, %d pods, %.1f s", len(run.Requests), lost, len(run.Pods), run.Ended.Sub(run.Began).Seconds())
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			t.Logf("FAIL %s: %s; %s", c.ID, c.Measured, strings.Join(c.Evidence, "\n        "))
		}
	}
}
