package verify_test

import (
	"fmt"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// Each planted defect is caught by the check that it is there for, with the evidence
// that it should give. A verifier that lets one pass is broken.
func TestPlantedDefectsAreCaught(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, d := range defects.Planted() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			defectstest.Verify(t, d, func(try int) (*record.Run, error) {
				return verify.Run(t.Context(), c, subject(t, d.Deployment(fmt.Sprintf("defect-%s-%d", d.Name, try))))
			})
		})
	}
}

// A verifier that fails everything would catch every defect, too. Ten runs, five after
// five in two parallel rows.
func TestRightServerPassesTenRuns(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	right := defects.Right()
	for row := range 2 {
		t.Run(fmt.Sprint(row+1), func(t *testing.T) {
			t.Parallel()
			for i := range 5 {
				defectstest.Verify(t, right, func(try int) (*record.Run, error) {
					o := subject(t, right.Deployment(fmt.Sprintf("right-%d-%d-%d", row+1, i+1, try)))
					if i%2 == 1 {
						o.Signal = "" // like a server that does not log when it receives SIGTERM
					}
					t.Logf("run %d", i+1)
					return verify.Run(t.Context(), c, o)
				})
			}
		})
	}
}
