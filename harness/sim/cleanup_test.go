package sim_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// processesIn returns the processes whose working directory is or was dir: the
// supervisor and its components. It reads /proc; on systems without it, the test is
// skipped.
func processesIn(t *testing.T, dir string) map[int]string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(entries) == 0 {
		t.Skip("this test reads /proc, which this system does not have")
	}
	found := map[int]string{}
	for _, e := range entries {
		cwd, err := os.Readlink(e)
		if err != nil || strings.TrimSuffix(cwd, " (deleted)") != dir {
			continue // not readable, gone, or another directory
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(e)))
		if err != nil {
			t.Fatal(err)
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(e), "cmdline"))
		if err == nil && len(args) > 0 { // zombies have no arguments
			found[pid] = strings.SplitN(string(args), "\x00", 2)[0]
		}
	}
	return found
}

// wantNothingLeft waits until no process and no directory is left. If within is 0, it
// does not wait.
func wantNothingLeft(t *testing.T, dir string, within time.Duration) {
	t.Helper()
	wantNone(t, within, func() string {
		processes := processesIn(t, dir)
		_, err := os.Stat(dir)
		return leftovers(processes, err)
	})
}

// wantNone waits until left returns nothing. If within is 0, it calls left once, and
// the time that this takes (it reads /proc) does not count.
func wantNone(t *testing.T, within time.Duration, left func() string) {
	t.Helper()
	if within == 0 {
		if what := left(); what != "" {
			t.Fatal("left behind: ", what)
		}
		return
	}
	var what string
	testenv.Eventually(t, within, "nothing is left", func() bool {
		now := left()
		if now != what && now != "" {
			t.Log("still there: ", now)
		}
		what = now
		return what == ""
	})
}

// leftovers describes processes, and a directory for which os.Stat returned err.
func leftovers(processes map[int]string, err error) string {
	if len(processes) == 0 && os.IsNotExist(err) {
		return ""
	}
	return fmt.Sprintf("processes %v; directory: %v", processes, err)
}

func TestTwoAtOnceAndStopLeavesNothing(t *testing.T) {
	type started struct {
		cp  *sim.ControlPlane
		err error
	}
	binary := simtest.Binary(t)
	results := make(chan started)
	for range 2 {
		go func() {
			cp, err := sim.StartControlPlane(testContext(t), sim.WithBinary(binary))
			results <- started{cp, err}
		}()
	}
	var planes []*sim.ControlPlane
	for range 2 {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
			continue
		}
		defer r.cp.Stop()
		planes = append(planes, r.cp)
	}
	if len(planes) != 2 {
		t.FailNow()
	}
	if n := len(processesIn(t, planes[0].Dir())); n != 3 {
		t.Errorf("%d processes found, want the supervisor, etcd and the API server", n)
	}
	first, second := client(t, planes[0].RESTConfig()), client(t, planes[1].RESTConfig())
	if _, err := first.CoreV1().Services("default").Create(testContext(t), service("mine"), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if s, err := second.CoreV1().Services("default").Get(testContext(t), "mine", metav1.GetOptions{}); err == nil {
		t.Errorf("the second control plane has the first one's Service %s", s.Name)
	}
	for _, cp := range planes {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
		wantNothingLeft(t, cp.Dir(), 0)
		if err := cp.Stop(); err != nil {
			t.Errorf("stopping it twice: %v", err)
		}
	}
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	owner, dir := startOwner(t)
	killOwner(t, owner)
	wantNothingLeft(t, dir, 10*time.Second)
}

// startOwner starts this test binary as an owner, which is killed when the test ends,
// and returns its state directory.
func startOwner(t *testing.T, env ...string) (owner *exec.Cmd, dir string) {
	t.Helper()
	owner = exec.Command(os.Args[0])
	owner.Env = append(append(os.Environ(), ownerEnv+"="+simtest.Binary(t)), env...)
	owner.Stderr = os.Stderr
	output, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		killOwner(t, owner)
		t.Fatal("the owner did not come up:", err)
	}
	return owner, strings.TrimSpace(line)
}

func killOwner(t *testing.T, owner *exec.Cmd) {
	t.Helper()
	if err := owner.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = owner.Wait() // it was killed
}

// TestKilledSupervisorTakesAllWithIt kills the only process that cleans up. The
// components end with it, and Stop removes the directory.
func TestKilledSupervisorTakesAllWithIt(t *testing.T) {
	cp := simtest.Start(t)
	for pid, name := range processesIn(t, cp.Dir()) {
		if name == "etcd" || name == "kube-apiserver" {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-cp.Done():
	case <-time.After(testenv.Patience):
		t.Fatal("the end of the supervisor was not noticed")
	}
	if err := cp.StopAPIServer(); err == nil {
		t.Error("the API server of a dead supervisor was stopped")
	}
	if err := cp.Stop(); err != nil {
		t.Error(err)
	}
	wantNothingLeft(t, cp.Dir(), 5*time.Second)
}
