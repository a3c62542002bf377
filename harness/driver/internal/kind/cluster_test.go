package kind_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/drivertest"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kind/kindtest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// What the service promises holds on kind, as verified by make verify CLUSTER=kind:
// with the image of the Dockerfile, at least three rolling restarts and 20,000
// requests, none is lost; and nothing is left of the cluster.
func TestService(t *testing.T) {
	o := kindtest.Options(t)
	dir := t.TempDir()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, pkg := range map[string]string{"verify": "./harness/cmd/verify", "loadagent": "./harness/cmd/loadagent"} {
		command(t, root, []string{"CGO_ENABLED=0"}, "go", "build", "-o", filepath.Join(dir, name), pkg)
	}
	const image = "dynamic-toolset:kind-test"
	command(t, root, []string{"IMAGE=" + image}, "scripts/image")
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image).Run() })

	before := clusters(t)
	err = testenv.Measure(t, "whether the service passes on kind", func() (excused bool, err error) {
		reports := t.TempDir()
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "verify"),
			append(kindtest.Flags(o), "--image="+image, "--restarts=3", "--rate=800", "--reports="+reports)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if after := clusters(t); after != before {
			t.Errorf("nodes before: %q, after: %q", before, after)
		}
		text, notWritten := os.ReadFile(filepath.Join(reports, "report.json"))
		if notWritten != nil {
			// No verdict, as if the load's agent is not heard of in time.
			return cmd.ProcessState.ExitCode() == 2, errors.Join(err, notWritten)
		}
		return judge(text, image, cmd.ProcessState.ExitCode())
	})
	if err != nil {
		t.Error(err)
	}
}

// judge returns what is wrong with the report of a run of verify, and whether a busy host
// excuses it: if the load could not be sent in time, that and its consequences are not the
// fault of the service.
func judge(text []byte, image string, code int) (excused bool, err error) {
	var report struct {
		Cluster struct {
			Driver string
			Nodes  []string
		}
		Target  struct{ Image string }
		Phases  []struct{ Name, Kind string }
		Checks  []struct{ ID, Result string }
		Summary struct{ Sent, Failed int }
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return false, err
	}
	var wrong []error
	for _, c := range report.Checks {
		switch {
		case c.Result != string(record.Fail):
		case c.ID == verdict.LoadID:
			excused = true // and if all else is well, that is enough
		default:
			excused = excused || c.ID == verdict.ReadinessID // it may be asked too late
			wrong = append(wrong, fmt.Errorf("the check %s failed", c.ID))
		}
	}
	if len(report.Checks) < 16 || code != 0 && !(code == 1 && (excused || len(wrong) > 0)) {
		wrong = append(wrong, fmt.Errorf("%d checks, exit code %d", len(report.Checks), code))
	}
	restarts := 0
	for _, p := range report.Phases {
		if p.Kind == string(record.Action) {
			restarts++
		}
	}
	if restarts < 3 || report.Summary.Sent < 20_000 || report.Summary.Failed > 0 {
		wrong = append(wrong, fmt.Errorf("%d requests, %d lost in %d restarts", report.Summary.Sent, report.Summary.Failed, restarts))
	}
	if report.Cluster.Driver != kind.Name || len(report.Cluster.Nodes) != 3 || !strings.HasPrefix(report.Target.Image, image+" (image sha256:") {
		excused = false
		wrong = append(wrong, fmt.Errorf("the cluster is %s of %q, the image %s", report.Cluster.Driver, report.Cluster.Nodes, report.Target.Image))
	}
	return excused, errors.Join(wrong...)
}

// A server that stops too early loses requests on kind, too.
func TestDefects(t *testing.T) {
	o := kindtest.Options(t)
	subject, err := defects.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Agent, o.Progress = subject.Agent, t.Output()
	c, err := kind.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("the cluster left something behind: %v", err)
		}
		if err := c.Close(); err != nil { // a second call has no effect
			t.Error(err)
		}
	})
	t.Run("network", func(t *testing.T) { drivertest.Network(t, c) })
	if c.Logs() == "" {
		t.Error("the nodes' kubelets said nothing")
	}
	if err := c.LoadImage(t.Context(), subject.Image()); err != nil {
		t.Fatal(err)
	}
	t.Run("verdicts", func(t *testing.T) {
		for _, name := range []string{"", "exits-at-once", "no-propagation-wait"} {
			planted, err := defects.Named(name)
			if err != nil {
				t.Fatal(err)
			}
			title := cmp.Or(name, "right")
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				defectstest.Verify(t, planted, func(try int) (*record.Run, error) {
					o, err := subject.Options(planted.Deployment(fmt.Sprintf("case-%s-%d", title, try)))
					if err != nil {
						return nil, err
					}
					o.Say = t.Logf
					return verify.Run(t.Context(), c, o)
				})
			})
		}
	})
}

// clusters returns the names of the containers that are nodes of kind.
func clusters(t *testing.T) string {
	t.Helper()
	return command(t, ".", nil, "docker", "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster", "--format", "{{.Names}}")
}

// command runs a command that must succeed, and returns its output.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s %q: %w\n%s\n%s", name, args, err, out, errs.String()))
	}
	return string(out)
}
