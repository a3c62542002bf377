package scenario_test

import (
	"testing"

	"kubernaut.io/dynamic-toolset/harness/scenario"
)

// What is done to the proxy before a target stops no pod of the target.
func TestWhatStepsDo(t *testing.T) {
	steps, err := scenario.Parse("proxy-restart,spot-node", 2)
	if err != nil || len(steps) != 3 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	if proxy, spot := steps[0], steps[2]; !proxy.Via || proxy.Terminations || proxy.Rollout || spot.Via || !spot.Terminations || !spot.Nodes {
		t.Errorf("%+v\n%+v", proxy, spot)
	}
}
