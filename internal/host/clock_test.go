package host

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// The CPU clock of another process runs while the process works, and agrees with what the
// kernel reports after its end.
func TestCPUTimeOfAnotherProcess(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var at [2]time.Duration
	for i := range at {
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			var err error
			if at[i], err = CPUTime(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			if at[i] > time.Duration(i+1)*50*time.Millisecond {
				break
			}
			if time.Since(began) > testenv.Patience {
				t.Fatalf("it has used %v only", at[i])
			}
		}
	}
	both, err := CPUTime(cmd.Process.Pid, os.Getpid())
	if err != nil || both <= at[1] {
		t.Errorf("%v with this process, %v without, %v", both, at[1], err)
	}
	if err := syscall.Kill(cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	last, err := CPUTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	// The kernel rounds its own sums to its sampling interval of at most 10 ms, twice.
	if d := used - last; d < -2*clockTick || d > 2*clockTick {
		t.Errorf("%v, and the kernel says %v", last, used)
	}
	for _, pid := range []int{0, -1, cmd.Process.Pid} {
		if _, err := CPUTime(pid); err == nil {
			t.Errorf("process %d: no error", pid)
		}
	}
}
