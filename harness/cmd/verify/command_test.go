package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// programs are those of a checkout after make build, and the server with planted
// defects.
type programs struct {
	dir, verify, service string
	subject              *defects.Subject
}

// build builds the programs, statically linked.
func build(t *testing.T) programs {
	t.Helper()
	dir := t.TempDir()
	p := programs{dir: dir, verify: dir + "/verify", service: dir + "/dynamic-toolset"}
	var err error
	if p.subject, err = defects.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for out, pkg := range map[string]string{p.verify: ".", p.service: "../../.."} {
		cmd := exec.Command("go", "build", "-o", out, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, text)
		}
	}
	return p
}

// run runs the command in the root of the checkout.
func (p *programs) run(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := p.command(env, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (p *programs) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(p.verify, append([]string{"--agent-binary=" + p.subject.Agent}, args...)...)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// manifest writes the manifest of the server with planted defects.
func (p *programs) manifest(t *testing.T, args ...string) string {
	t.Helper()
	file, err := p.subject.Manifest(defects.Deployment{Namespace: "app", Grace: 20, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// As with make verify, the service passes, and the reports say so.
func TestVerifyTheService(t *testing.T) {
	simtest.Binary(t)
	p := build(t)
	var out, errs string
	var report checks
	// If the load generator was too late, the run is about the host, not the service: a
	// client whose time is over before its turn has lost a request, too.
	err := testenv.Measure(t, "what a rolling restart loses", func() (bool, error) {
		var code int
		code, out, errs = p.run(t, nil, "--image-binary="+p.service, "--reports="+p.dir+"/reports")
		report = p.report(t)
		if code != 0 || !strings.Contains(out, "PASSED: none of ") {
			return code == exitFailed && report.result(verdict.LoadID) == record.Fail, fmt.Errorf("code %d\n%s\n%s", code, out, errs)
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(out)
	for _, want := range []string{"rolling restart 3", "requests, 0 lost; pods: "} { // on stderr
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in %s", want, errs)
		}
	}
	if len(report.Checks) != 17 {
		t.Fatalf("%d checks", len(report.Checks))
	}
	for _, c := range report.Checks {
		if want := map[bool]record.Result{true: record.Reported, false: record.Pass}[c.ID == verdict.LatencyID]; c.Result != want {
			t.Errorf("%s: %s", c.ID, c.Result)
		}
	}
	text, err := os.ReadFile(p.dir + "/reports/junit.xml")
	if err == nil {
		err = xml.Unmarshal(text, new(struct{}))
	}
	if err != nil {
		t.Error(err)
	}
}

// checks is what the tests read from report.json.
type checks struct {
	Checks []struct {
		ID     string
		Result record.Result
	}
	Summary struct{ Sent int }
}

func (r checks) result(id string) record.Result {
	for _, c := range r.Checks {
		if c.ID == id {
			return c.Result
		}
	}
	return ""
}

// report reads the report of the last run.
func (p *programs) report(t *testing.T) checks {
	t.Helper()
	var r checks
	text, err := os.ReadFile(p.dir + "/reports/report.json")
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Flags describe any other Deployment: one with a defect fails, with code 1.
func TestVerifyAnotherDeployment(t *testing.T) {
	simtest.Binary(t)
	p := build(t)
	code, out, errs := p.run(t, nil, "--manifest="+p.manifest(t, "--defect=exits-at-once"), "--image-binary="+p.subject.Server, "--target=subject:80",
		"--path=/", "--slow-path=/slow?for={duration}", "--stream-path=/events", "--restarts=1", "--requests=2500", "--rate=200", "--nodes=1", "--reports="+p.dir+"/reports")
	if code != exitFailed || !strings.Contains(out, "FAILED") {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
	// One restart is not enough for so many requests.
	if !strings.Contains(errs, "rolling restart 2") || p.report(t).Summary.Sent < 2500 {
		t.Errorf("%d requests\n%s", p.report(t).Summary.Sent, errs)
	}
	if page, err := os.ReadFile(p.dir + "/reports/report.html"); err != nil || !bytes.Contains(page, []byte("FAILED")) {
		t.Errorf("report.html: %v", err)
	}
}

// Without a verdict the code is 2, and the last log lines of the pods are shown.
func TestNoVerdict(t *testing.T) {
	simtest.Binary(t)
	p := build(t)
	// Never ready, so that no probe can find it ready for a moment.
	manifest := p.manifest(t, "--never-ready", "--crash-after=200ms")
	args := []string{"--manifest=" + manifest, "--image-binary=" + p.subject.Server, "--target=subject:80", "--nodes=1", "--reports=" + p.dir + "/reports"}
	if err := os.Mkdir(p.dir+"/reports", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.html", "mine.txt"} {
		if err := os.WriteFile(p.dir+"/reports/"+name, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := p.run(t, nil, args...)
	if code != exitUnable || out != "" || !strings.Contains(errs, "crashes: it ended") || !strings.Contains(errs, "as --crash-after asks") {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
	left, err := os.ReadDir(p.dir + "/reports")
	if err != nil || len(left) != 1 || left[0].Name() != "mine.txt" {
		t.Errorf("of a run without a verdict there are %v, %v", left, err)
	}
	// If the host lacks something, the error says what.
	code, _, errs = p.run(t, []string{"PATH=" + onlyGo(t)}, args...)
	if code != exitUnable || !strings.Contains(errs, "install the package") {
		t.Errorf("on a bare machine: code %d, %s", code, errs)
	}
}

// onlyGo returns a PATH that has only the go command.
func onlyGo(t *testing.T) string {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(goCommand, filepath.Join(dir, "go")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load is a line about requests that were sent, measured the one about an incomplete run.
var (
	load     = regexp.MustCompile(`baseline: [1-9][0-9]* requests, `)
	measured = regexp.MustCompile(`in the phase "baseline", after 0 complete steps, [0-9,]+ of [1-9][0-9,]* requests were lost, .*new [0-9,]+ of [0-9,]+.*this is no verdict`)
)

// However the command ends, nothing of the cluster is left. An interrupt shows what was
// measured until then.
func TestNothingIsLeftBehind(t *testing.T) {
	simtest.Binary(t)
	p := build(t)
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "interrupted": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			cmd := p.command([]string{"TMPDIR=" + tmp}, "--image-binary="+p.service, "--reports="+tmp+"/reports")
			var errs lockedBuffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, testenv.Patience, "the load", func() bool { return load.MatchString(errs.String()) })
			if owned(tmp) == 0 {
				t.Fatal("no process of the cluster is found while it runs: the test sees nothing")
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // its code is checked below
			if sig == syscall.SIGINT {
				text := errs.String()
				if code := cmd.ProcessState.ExitCode(); code != exitUnable || !strings.Contains(text, "everything that was started has been ended") || !measured.MatchString(text) {
					t.Errorf("code %d: %s", code, text)
				}
				if info, err := os.Stat(tmp + "/reports/requests.ndjson.gz"); err != nil || info.Size() == 0 {
					t.Errorf("what became of the requests: %v", err)
				}
				if _, err := os.Stat(tmp + "/reports/report.html"); err == nil {
					t.Error("an incomplete run has a report")
				}
			}
			testenv.Eventually(t, 15*time.Second, "the end of every process", func() bool { return owned(tmp) == 0 })
			testenv.Eventually(t, 5*time.Second, "the end of the state directory", func() bool {
				left, err := filepath.Glob(tmp + "/dynamic-toolset-sim-*")
				return err == nil && len(left) == 0
			})
		})
	}
}

// owned counts the processes whose environment has this TMPDIR.
func owned(tmp string) int {
	n := 0
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environments {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte("TMPDIR="+tmp)) {
			n++
		}
	}
	return n
}
