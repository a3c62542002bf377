package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/driver/simulated"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// shared is the cluster of all tests of the package, and the programs in it.
var shared struct {
	once           sync.Once
	cluster        driver.Cluster
	dir            string
	subject, agent string
	err            error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the cluster left something behind:", err)
			code = 1
		}
	}
	_ = os.RemoveAll(shared.dir)
	os.Exit(code)
}

// cluster returns the shared cluster, with the subject's image loaded.
func cluster(t *testing.T) driver.Cluster {
	t.Helper()
	shared.once.Do(func() { shared.err = startShared() })
	if errors.Is(shared.err, driver.ErrUnsupported) {
		testenv.Missing(t, "a simulated cluster ("+shared.err.Error()+")", "The sentence says how to get what is missing.")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func startShared() error {
	var err error
	if shared.dir, err = os.MkdirTemp("", "verify-test-"); err != nil {
		return err
	}
	if shared.subject, err = build("../testdata/faulty", "subject"); err != nil {
		return err
	}
	if shared.agent, err = build("../cmd/loadagent", "loadagent"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // a cold compile
	defer cancel()
	if shared.cluster, err = simulated.Start(ctx, simulated.Options{Progress: os.Stderr}); err != nil {
		return err
	}
	return shared.cluster.LoadImage(ctx, subjectImage())
}

// build builds a static program.
func build(pkg, name string) (string, error) {
	path := filepath.Join(shared.dir, name)
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

func subjectImage() driver.Image {
	return driver.Image{Name: "subject:devel", Files: map[string]string{"/subject": shared.subject}, Entrypoint: []string{"/subject"}}
}

// subject are the options to verify the server with planted defects in a
// namespace of its own.
func subject(t *testing.T, namespace string, grace int, args ...string) verify.Options {
	t.Helper()
	template, err := os.ReadFile("../testdata/faulty/deploy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if args == nil {
		args = []string{}
	}
	list, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "subject.yaml")
	text := strings.NewReplacer("%NAMESPACE%", namespace, "%REPLICAS%", "2", "%GRACE%", fmt.Sprint(grace), "%ARGS%", string(list)).Replace(string(template))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	steps, err := scenario.Parse("rolling-restart", 1)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Options{
		Manifests: []string{file}, Service: "subject", AgentBinary: shared.agent,
		Steps: steps, Scenario: "rolling-restart",
		Baseline: 2 * time.Second, ReadyTimeout: time.Minute,
		Traffic: verify.Traffic{
			Rate: 250, Paths: []string{"/", "/api/v1/toolsets"}, ErrorPaths: []string{"/no-such-path"}, ExpectJSON: true,
			SlowPath: "/slow?for={duration}", SlowFor: 8 * time.Second, StreamPath: "/events", Streams: 8, PodHeader: "X-Served-By",
		},
		Problems: true, Milestones: verify.Milestones(), Signal: verify.Milestones()[0],
		Cleanup: true, Say: t.Logf,
	}
}

// failures are the checks of a run that failed, by their identifier.
func failures(run *record.Run) map[string]record.Check {
	failed := map[string]record.Check{}
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			failed[c.ID] = c
		}
	}
	return failed
}

// lost counts the requests of a class (any, if empty) that were lost in this way.
func lost(run *record.Run, class record.Class, outcomes ...record.Outcome) int {
	n := 0
	for i := range run.Requests {
		r := &run.Requests[i]
		for _, o := range outcomes {
			if r.Outcome == o && (class == "" || r.Class == class) {
				n++
			}
		}
	}
	return n
}

// tell logs a run for whoever reads the test's output.
func tell(t *testing.T, run *record.Run) {
	t.Helper()
	failed := 0
	for i := range run.Requests {
		if run.Requests[i].Failed() {
			failed++
		}
	}
	t.Logf("%d requests, %d lost, %d pods, %.1f s", len(run.Requests), failed, len(run.Pods), run.Ended.Sub(run.Began).Seconds())
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			t.Logf("FAIL %s: %s; %s", c.ID, c.Measured, strings.Join(c.Evidence, "\n        "))
		}
	}
}

func replaceInFile(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in %s", old, file)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
