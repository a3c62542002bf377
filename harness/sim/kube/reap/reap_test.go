package reap

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func start(t *testing.T, c *Children, script string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out := &strings.Builder{}
	cmd.Stdout = out
	if err := c.Start(cmd, (*exec.Cmd).Start); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// TestOrphansAndOwn has this process inherit orphans, like process 1, while it starts
// its own processes and needs their exit codes.
func TestOrphansAndOwn(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	var children Children
	stop := make(chan struct{})
	var reaper sync.WaitGroup
	reaper.Go(func() { children.Orphans(stop) })
	defer func() {
		close(stop)
		// Orphans is idle until a child ends.
		cmd, _ := start(t, &children, "exit 0")
		_ = children.Wait(cmd)
		reaper.Wait()
	}()

	// This one has ended long before Wait is called.
	cmd, _ := start(t, &children, "exit 42")
	time.Sleep(5 * ownZombie)
	var exit *exec.ExitError
	if err := children.Wait(cmd); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("a process that exits with 42, waited for late: %v", err)
	}
	var orphans []int
	for i := range 20 {
		// The shell ends, and leaves a process that ends later.
		cmd, out := start(t, &children, "sleep 0.05 >/dev/null & echo $!; exit "+strconv.Itoa(i+1))
		var exit *exec.ExitError
		if err := children.Wait(cmd); !errors.As(err, &exit) || exit.ExitCode() != i+1 {
			t.Fatalf("a process that exits with %d: %v", i+1, err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
		if err != nil {
			t.Fatal(err)
		}
		orphans = append(orphans, pid)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range orphans {
		for {
			if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); os.IsNotExist(err) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the orphan %d was never reaped", pid)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
