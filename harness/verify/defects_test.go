package verify_test

import (
	"fmt"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// Each planted defect is caught by the check that is named for it in the design,
// and in the way named there. A verifier that lets one pass is broken.
func TestPlantedDefectsAreCaught(t *testing.T) {
	t.Parallel()
	c := cluster(t)
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

// A verifier that fails everything would catch every defect, too.
func TestRightServerPassesTenRuns(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	right := defects.Right()
	for i := range 10 {
		o := subject(t, right.Deployment(fmt.Sprintf("right-%d", i+1)))
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

// wantRight fails the test if a server without defects did not pass.
func wantRight(t *testing.T, run *record.Run) {
	t.Helper()
	right := defects.Right()
	if err := right.Judge(run); err != nil {
		t.Error(err)
		tell(t, run)
	}
}
