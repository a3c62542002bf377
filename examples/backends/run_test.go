package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const root = "../.."

// An example is what make run starts, with free ports for the service.
type example struct {
	t     *testing.T
	at    netip.Addr // of the stand-ins
	cmd   *exec.Cmd
	api   string
	ended chan struct{}

	mu   sync.Mutex
	log  strings.Builder
	text strings.Builder // standard output
}

var (
	buildOnce sync.Once
	buildDir  string
	errBuild  error
)

// programs builds both programs once, and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		if buildDir, errBuild = os.MkdirTemp("", "example"); errBuild != nil {
			return
		}
		for name, pkg := range map[string]string{"dynamic-toolset": ".", "example-backends": "./examples/backends"} {
			cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(buildDir, name), pkg)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				errBuild = fmt.Errorf("%w\n%s", err, out)
				return
			}
		}
	})
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	return buildDir
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(buildDir) //nolint:errcheck // of a folder for temporary files
	os.Exit(code)
}

// startExample runs scripts/run with args, and returns when the service listens.
func startExample(t *testing.T, bin string, at netip.Addr, args ...string) *example {
	t.Helper()
	e := &example{t: t, at: at, ended: make(chan struct{})}
	e.cmd = exec.Command("scripts/run", append([]string{"--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--log-format=json",
		"--shutdown-propagation-delay=500ms"}, args...)...)
	e.cmd.Dir = root
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TOOLSET_") {
			e.cmd.Env = append(e.cmd.Env, v)
		}
	}
	e.cmd.Env = append(e.cmd.Env, "EXAMPLE_BIN="+bin, "EXAMPLE_ADDRESS="+at.String())
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a shell does for a job at a terminal
	stderr, err := e.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	var read sync.WaitGroup
	read.Go(func() { e.keep(stdout, &e.text, nil) })
	read.Go(func() { e.keep(stderr, &e.log, serving) })
	go func() {
		read.Wait() // until the stand-ins have ended, too: they inherit standard error
		_ = e.cmd.Wait()
		close(e.ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL) // it has ended if the test passed
		<-e.ended
		if t.Failed() {
			t.Logf("%s\n%s", e.text.String(), e.log.String())
		}
	})
	select {
	case e.api = <-serving:
	case <-e.ended:
		t.Fatal("it did not start")
	}
	return e
}

// keep keeps the lines of r in b, and sends the address in the line that has one.
func (e *example) keep(r io.Reader, b *strings.Builder, serving chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e.mu.Lock()
		b.WriteString(lines.Text() + "\n")
		e.mu.Unlock()
		var line struct{ Msg, Message, API string }
		if serving != nil && json.Unmarshal(lines.Bytes(), &line) == nil && line.API != "" {
			serving <- line.API
			serving = nil
		}
	}
}

// A toolset is what the test reads of one.
type toolset struct {
	Name, HealthReason string
	Healthy, Enabled   bool
	Identity           struct{ Verdict, Product, Version string }
	Access             struct {
		Path, Auth string
		Tenant     bool
	}
}

// toolsets returns all toolsets by name.
func (e *example) toolsets() map[string]toolset {
	e.t.Helper()
	resp, err := http.Get("http://" + e.api + "/api/v1/toolsets")
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	var list struct{ Toolsets []toolset }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		e.t.Fatal(err)
	}
	all := map[string]toolset{}
	for _, s := range list.Toolsets {
		all[s.Name] = s
	}
	return all
}

// interrupt does as Ctrl-C does at a terminal: all processes of the job get the signal. It
// waits until they have ended, and returns the exit code.
func (e *example) interrupt() int {
	e.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := syscall.Kill(-e.cmd.Process.Pid, syscall.SIGINT); err != nil {
		e.t.Fatal(err)
	}
	<-e.ended
	return e.cmd.ProcessState.ExitCode()
}

// gone checks that the ports are free. That no process is left is known when e.ended is
// closed, as each of them holds standard error.
func (e *example) gone() {
	e.t.Helper()
	for _, s := range standIns {
		if c, err := net.DialTimeout("tcp", netip.AddrPortFrom(e.at, s.port).String(), testenv.Patience); err == nil {
			c.Close() //nolint:errcheck // it should not be there
			e.t.Errorf("something listens on port %d still", s.port)
		}
	}
}

var row = regexp.MustCompile(`(?m)^\| ([a-z, -]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)

// promises returns what README.md says of each toolset: the verdict, what follows it, and
// the health.
func promises(t *testing.T) map[string][3]string {
	t.Helper()
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| toolset | its Service says |")
	table, _, _ = strings.Cut(table, "\n\n")
	all := map[string][3]string{}
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		verdict, rest, _ := strings.Cut(m[3], " ")
		for name := range strings.SplitSeq(m[1], ", ") {
			all[name] = [3]string{strings.Trim(verdict, ":,"), rest, m[4]}
		}
	}
	return all
}

// kept says why s is not as README.md promises; empty if it is.
func (s *toolset) kept(verdict, what, health string) string {
	if s.Name == "" {
		return "it is not listed"
	}
	state, why, _ := strings.Cut(health, ": ")
	reasons := map[string]string{
		"nobody trusts its certificate": "the certificate is signed by an unknown authority", "it never answers": "no answer within",
		"nothing listens": "connection refused", "the name does not resolve": "name does not resolve", "": "",
	}
	reason, ok := reasons[why]
	switch {
	case !ok:
		return "nobody knows how to check " + why
	case s.Identity.Verdict != verdict, s.Healthy != (state == "healthy"), !strings.Contains(s.HealthReason, reason), s.Enabled == (verdict == "refuted"):
		return "it has another state"
	case verdict != "verified":
		return ""
	}
	says, below, _ := strings.Cut(what, ", below ")
	says, wants, _ := strings.Cut(says, ", wants a ")
	says, _, _ = strings.Cut(says, ": ")
	auth := map[string]string{"": "none", "token": "bearer", "password": "basic", "tenant": "none"}
	switch {
	case strings.TrimSpace(s.Identity.Product+" "+s.Identity.Version) != says:
		return "it is another product"
	case s.Access.Path != strings.Trim(below, "`"), s.Access.Auth != auth[wants], s.Access.Tenant != (wants == "tenant"):
		return "one gets at it in another way"
	}
	return ""
}

// What README.md promises of make run is true, and Ctrl-C ends all of it with 0.
func TestRun(t *testing.T) {
	t.Parallel()
	want := promises(t)
	if len(want) != 15 {
		t.Fatalf("README.md promises %d toolsets: %v", len(want), want)
	}
	e := startExample(t, programs(t), loopback(4))
	var wrong []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%d are not: %s", len(wrong), strings.Join(wrong, "\n"))
		}
	})
	testenv.Eventually(t, 2*testenv.Patience, "all toolsets are as README.md promises", func() bool {
		got := e.toolsets()
		wrong = nil
		for name, w := range want {
			s := got[name]
			if why := s.kept(w[0], w[1], w[2]); why != "" {
				wrong = append(wrong, fmt.Sprintf("%s is promised %q: %s: %+v", name, w, why, s))
			}
		}
		return len(wrong) == 0
	})
	got := e.toolsets()
	if len(got) != len(want)+1 { // and the service itself
		t.Errorf("%d toolsets", len(got))
	}
	for _, name := range []string{"storefront", "checkout-prometheus"} {
		if _, listed := got[name]; listed {
			t.Errorf("%s is listed", name)
		}
	}
	if code := e.interrupt(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	e.gone()
	if strings.Contains(e.log.String(), "can't be used") {
		t.Error("a port of the example is in use")
	}
	if lines := strings.Fields(e.text.String()); lines[0] != "http://localhost:8080/" {
		t.Errorf("it does not print the address first: %s", e.text.String())
	}
}

// The stand-ins end with the service, whichever way that ends; it goes on without them.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	bin := programs(t)
	t.Run("the service is killed", func(t *testing.T) {
		e := startExample(t, bin, loopback(5), "--identify=off")
		testenv.Eventually(t, testenv.Patience, "a back end is healthy", func() bool { return e.toolsets()["orders-queue"].Healthy })
		if s := e.toolsets()["orders-queue"]; s.Identity.Verdict == "verified" {
			t.Errorf("with --identify=off: %+v", s)
		}
		if err := e.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-e.ended // when nobody holds its output any more
		e.gone()
	})
	t.Run("the service can't start", func(t *testing.T) {
		cmd := exec.Command("scripts/run", "--listen=nonsense")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "EXAMPLE_BIN="+bin, "EXAMPLE_ADDRESS="+loopback(6).String())
		out, err := cmd.CombinedOutput() // until the stand-ins have ended, too
		if cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the stand-ins can't start", func(t *testing.T) {
		cmd := exec.Command("scripts/run")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "EXAMPLE_BIN="+bin, "EXAMPLE_ADDRESS=nonsense")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "nonsense") || !strings.Contains(string(out), "did not start") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the stand-ins are killed", func(t *testing.T) {
		e := startExample(t, bin, loopback(7))
		testenv.Eventually(t, testenv.Patience, "a back end is healthy", func() bool { return e.toolsets()["orders-queue"].Healthy })
		out, err := exec.Command("pgrep", "-g", fmt.Sprint(e.cmd.Process.Pid), "-f", "example-backends").Output()
		if err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Sscan(string(out), &pid); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if len(e.toolsets()) < 15 {
			t.Error("the service does not go on")
		}
		if code := e.interrupt(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		e.gone()
	})
}
