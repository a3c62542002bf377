package verify_test

import (
	"fmt"
	"slices"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Each planted defect is caught by the check that is named for it in the design,
// and in the way named there. A verifier that lets one pass is broken.
func TestPlantedDefectsAreCaught(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, d := range defects.Planted() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			run, err := verify.Run(t.Context(), c, subject(t, d.Deployment("defect-"+d.Name)))
			if err != nil {
				t.Fatal(err)
			}
			tell(t, run)
			if err := d.Judge(run); err != nil {
				t.Error(err)
			}
		})
	}
}

// A verifier that fails everything would catch every defect, too. Ten runs, in two rows.
func TestRightServerPassesTenRuns(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	right := defects.Right()
	for row := range 2 {
		t.Run(fmt.Sprint(row+1), func(t *testing.T) {
			t.Parallel()
			for i := range 5 {
				wantRight(t, func(try int) *record.Run {
					o := subject(t, right.Deployment(fmt.Sprintf("right-%d-%d-%d", row+1, i+1, try)))
					if i%2 == 1 {
						o.Signal = "" // as of a server that doesn't tell when it receives SIGTERM
					}
					run, err := verify.Run(t.Context(), c, o)
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("run %d", i+1)
					return run
				})
			}
		})
	}
}

// wantRight fails the test if a server without defects does not pass. Where the load
// generator came too late, and others had the machine, a client may have lost a request
// for that: it is done again, twice at most.
func wantRight(t *testing.T, verify func(try int) *record.Run) *record.Run {
	t.Helper()
	right, try := defects.Right(), 0
	var run *record.Run
	err := testenv.Measure(t, "whether a right server passes", func() (bool, error) {
		try++
		run = verify(try)
		err := right.Judge(run)
		if err != nil {
			tell(t, run)
		}
		return slices.Contains(defects.Failed(run), verdict.LoadID), err
	})
	if err != nil {
		t.Error(err)
	}
	return run
}
