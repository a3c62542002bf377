package verify_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// scenarioRun verifies the faulty server in a scenario.
func scenarioRun(t *testing.T, c cluster.Cluster, name, namespace string, outage time.Duration, args ...string) (*record.Run, error) {
	t.Helper()
	o := subject(t, defects.Deployment{Namespace: namespace, Args: args})
	var err error
	if o.Steps, err = scenario.Parse(name, 1); err != nil {
		t.Fatal(err)
	}
	o.Scenario, o.Outage = name, outage
	return verify.Run(t.Context(), c, o)
}

// If pods are told to stop in other ways than by a rolling restart, a correct server
// passes, and one that exits at once fails.
func TestScenariosThatStopPods(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for name, stopped := range map[string]int{"node-drain": 1, "pod-deletion": 2, "scale": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := defectstest.Verify(t, defects.Right(), func(try int) (*record.Run, error) {
				return scenarioRun(t, c, name, fmt.Sprintf("right-%s-%d", name, try), 0)
			})
			if n := terminated(run); n < stopped {
				t.Errorf("%d pods were told to stop, not %d", n, stopped)
			}
			run, err := scenarioRun(t, c, name, "wrong-"+name, 0, "--defect=exits-at-once")
			if err != nil {
				t.Fatal(err)
			}
			if run.Passed() {
				t.Error("a server that exits at once passed")
			}
		})
	}
}

// An outage of the API server has consequences in the whole cluster for up to a minute,
// while kubelets and proxies back off. So it has a cluster of its own.
func TestAPIServerOutage(t *testing.T) {
	t.Parallel()
	aCluster(t) // builds the programs
	own, err := driver.Open(t.Context(), driver.Options{Name: driver.Sim, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Errorf("the cluster left something behind: %v", err)
		}
	})
	if err := own.LoadImage(t.Context(), shared.subject.Image()); err != nil {
		t.Fatal(err)
	}
	run := defectstest.Verify(t, defects.Right(), func(try int) (*record.Run, error) {
		return scenarioRun(t, own, "api-outage", fmt.Sprintf("api-outage-%d", try), time.Minute)
	})
	if d := run.Phases[1].Ended.Sub(run.Phases[1].Began); d < time.Minute || len(run.Notes) == 0 {
		t.Errorf("the outage took %s; notes: %q", d, run.Notes)
	}
}

// A node whose kubelet is dead reports nothing about its pods, so this test does not
// run beside others.
func TestKubeletOutage(t *testing.T) {
	defectstest.Verify(t, defects.Right(), func(try int) (*record.Run, error) {
		return scenarioRun(t, aCluster(t), "kubelet-kill", fmt.Sprintf("kubelet-kill-%d", try), 10*time.Second)
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

// If a target can't be judged, this is told from a failure, with the reason.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, x := range []struct {
		name  string
		image string
		args  []string
		want  []string
	}{
		{"never-ready", "subject:devel", []string{"--never-ready"}, []string{"not within 8s", "0 available", "the last lines of container subject", `"Listening"`}},
		// Never ready, so that no probe can find it ready for a moment.
		{"crashes", "subject:devel", []string{"--never-ready", "--crash-after=300ms"}, []string{"crashes: it ended", "exit code 3", "as --crash-after asks"}},
		{"mistaken", "subject:devel", []string{"--defect=none-such"}, []string{"crashes: it ended", "exit code 2", "none-such"}},
		{"port-in-use", "subject:devel", nil, []string{"crashes: it ended", "exit code 1", "address already in use"}},
		{"no-image", "subject:missing", nil, []string{"can't start: ", "subject:missing"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			o := subject(t, defects.Deployment{Namespace: "unready-" + x.name, Grace: 1, Args: x.args})
			o.ReadyTimeout = 40 * time.Second
			if x.name == "never-ready" {
				o.ReadyTimeout = 8 * time.Second
			}
			replaceInFile(t, o.Manifests[0], "subject:devel", x.image)
			if x.name == "port-in-use" { // used by another container of the pod
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

// A Service that leads nowhere is not a lost request.
func TestServiceThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	o := subject(t, defects.Deployment{Namespace: "nowhere", Grace: 1})
	replaceInFile(t, o.Manifests[0], "targetPort: http", "targetPort: 8099")
	_, err := verify.Run(t.Context(), c, o)
	if err == nil || !strings.Contains(err.Error(), "does not answer as expected from inside the cluster") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

// A path with another answer than the flags say is a mistake in the flags, and found
// before the run. It is not a lost request.
func TestMistakenPaths(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for name, x := range map[string]struct {
		mistake func(*verify.Traffic)
		want    string
	}{
		"error-path":  {func(tr *verify.Traffic) { tr.ErrorPaths = []string{"/?there"} }, "GET /?there: unexpected status: status 200 where 404 is expected"},
		"path":        {func(tr *verify.Traffic) { tr.Paths = []string{"/", "/nowhere"} }, "GET /nowhere: unexpected status: status 404"},
		"stream-path": {func(tr *verify.Traffic) { tr.StreamPath = "/nowhere" }, "GET /nowhere: unexpected status: status 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := subject(t, defects.Deployment{Namespace: "mistaken-" + name, Grace: 1})
			x.mistake(&o.Traffic)
			_, err := verify.Run(t.Context(), c, o)
			if err == nil || !strings.Contains(err.Error(), "correct the flags") || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, not %q", err, x.want)
			}
		})
	}
}
