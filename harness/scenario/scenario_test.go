package scenario_test

import (
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/scenario"
)

func TestParse(t *testing.T) {
	steps, err := scenario.Parse("rolling-restart, node-drain,api-outage", 2)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range steps {
		names = append(names, s.Name)
		if s.Terminations == s.Faults {
			t.Errorf("%s: terminations %v, faults %v", s.Name, s.Terminations, s.Faults)
		}
	}
	if got := strings.Join(names, ", "); got != "rolling restart 1, rolling restart 2, node drain, API server outage" {
		t.Error(got)
	}
	if _, err := scenario.Parse("rolling-restart,reboot", 1); err == nil || !strings.Contains(err.Error(), `"reboot"; there are: rolling-restart, node-drain`) {
		t.Errorf("%v", err)
	}
}
