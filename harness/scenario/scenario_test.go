package scenario_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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
	if _, err := scenario.Parse("rolling-restart,reboot", 1); err == nil || !strings.Contains(err.Error(), `"reboot"; there are: rolling-restart, proxy-restart, node-drain`) {
		t.Errorf("%v", err)
	}
}

// The end of the context ends a pause, which returns the cause; for example, that the
// load has ended.
func TestPause(t *testing.T) {
	if err := scenario.Pause(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
	cause := errors.New("the load ended")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := scenario.Pause(ctx, time.Hour); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}
