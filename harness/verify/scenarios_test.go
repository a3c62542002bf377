package verify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// scenarioRun verifies the subject in another scenario.
func scenarioRun(t *testing.T, c driver.Cluster, name, namespace string, outage time.Duration, args ...string) *record.Run {
	t.Helper()
	o := subject(t, namespace, 30, args...)
	var err error
	if o.Steps, err = scenario.Parse(name, 1); err != nil {
		t.Fatal(err)
	}
	o.Scenario, o.Outage = name, outage
	run, err := verify.Run(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// wantRight fails the test if a server without defects failed a check; that this
// machine was too busy to send in time is no fault of it.
func wantRight(t *testing.T, run *record.Run) {
	t.Helper()
	failed := failures(run)
	delete(failed, verdict.LoadID)
	if len(failed) > 0 {
		t.Error("a server without defects failed")
		tell(t, run)
	}
}

// Where pods are told to stop in other ways than by a rolling restart, a right
// server passes, and one that exits at once does not.
func TestScenariosThatStopPods(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for name, stopped := range map[string]int{"node-drain": 1, "pod-deletion": 2, "scale": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := scenarioRun(t, c, name, "right-"+name, 0)
			wantRight(t, run)
			if n := terminated(run); n < stopped {
				t.Errorf("%d pods were told to stop, not %d", n, stopped)
			}
			if run := scenarioRun(t, c, name, "wrong-"+name, 0, "--defect=exits-at-once"); run.Passed() {
				t.Error("a server that exits at once passed")
			}
		})
	}
}

// These are outages of the whole cluster, and so not parallel to other tests.
func TestOutages(t *testing.T) {
	c := cluster(t)
	t.Run("api-outage", func(t *testing.T) {
		run := scenarioRun(t, c, "api-outage", "api-outage", time.Minute)
		wantRight(t, run)
		if d := run.Phases[1].Ended.Sub(run.Phases[1].Began); d < time.Minute || len(run.Notes) == 0 {
			t.Errorf("the outage took %s; notes: %q", d, run.Notes)
		}
	})
	t.Run("kubelet-kill", func(t *testing.T) {
		wantRight(t, scenarioRun(t, c, "kubelet-kill", "kubelet-kill", 10*time.Second))
	})
}

func terminated(run *record.Run) int {
	n := 0
	for i := range run.Pods {
		if !run.Pods[i].Deleted.IsZero() {
			n++
		}
	}
	return n
}

// A target that can't be judged is told from one that fails, and why.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	for _, x := range []struct {
		name  string
		image string
		args  []string
		want  []string
	}{
		{"never-ready", "subject:devel", []string{"--never-ready"}, []string{"not within 8s", "0 available", "the last lines of container subject", `"Listening"`}},
		{"crashes", "subject:devel", []string{"--crash-after=300ms"}, []string{"crashes: it ended", "exit code 3", "as --crash-after asks"}},
		{"mistaken", "subject:devel", []string{"--defect=none-such"}, []string{"crashes: it ended", "exit code 2", "none-such"}},
		{"port-in-use", "subject:devel", nil, []string{"crashes: it ended", "exit code 1", "address already in use"}},
		{"no-image", "subject:missing", nil, []string{"can't start: ", "subject:missing"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			o := subject(t, "unready-"+x.name, 1, x.args...)
			o.ReadyTimeout = 40 * time.Second
			if x.name == "never-ready" {
				o.ReadyTimeout = 8 * time.Second
			}
			replaceInFile(t, o.Manifests[0], "subject:devel", x.image)
			if x.name == "port-in-use" { // by a neighbour in the pod
				replaceInFile(t, o.Manifests[0], "containers:", "containers:\n        - {name: neighbour, image: \"subject:devel\", imagePullPolicy: IfNotPresent}")
			}
			_, err := verify.Run(t.Context(), c, o)
			var notReady *rollout.NotReadyError
			if !errors.As(err, &notReady) {
				t.Fatalf("%v", err)
			}
			for _, want := range x.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said: %v", want, err)
				}
			}
		})
	}
}

// A Service that leads nowhere is no lost request either.
func TestServiceThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	o := subject(t, "nowhere", 1)
	replaceInFile(t, o.Manifests[0], "targetPort: http", "targetPort: 8099")
	_, err := verify.Run(t.Context(), c, o)
	if err == nil || !strings.Contains(err.Error(), "does not answer as expected from inside the cluster") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}
