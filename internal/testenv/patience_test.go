package testenv

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A verdict is a testing.TB that records what is reported to it.
type verdict struct {
	testing.TB
	failed bool
	said   string
}

func (v *verdict) Helper() {}
func (v *verdict) Errorf(format string, args ...any) {
	v.failed, v.said = true, v.said+fmt.Sprintf(format, args...)
}
func (v *verdict) Logf(format string, args ...any) { v.said += fmt.Sprintf(format, args...) }

// What takes too long fails, unless the machine can be the cause.
func TestOnlyABusyMachineIsAnExcuse(t *testing.T) {
	for _, tc := range []struct {
		name         string
		ago, waited  time.Duration
		failed, busy bool
	}{
		{"in time", time.Second, 0, false, false},
		{"late", time.Hour, 0, true, false},
		{"late, and little else was done", time.Hour, 20 * time.Minute, true, false},
		{"late as others had the machine", time.Hour, 55 * time.Minute, false, true},
	} {
		v := &verdict{}
		took := Stopwatch{time.Now().Add(-tc.ago), stalled() - tc.waited}.Within(v, 10*time.Minute, "the event")
		if v.failed != tc.failed || strings.HasPrefix(v.said, "TOO BUSY: ") != tc.busy || took < tc.ago {
			t.Errorf("%s: failed %v, %q, %v", tc.name, v.failed, v.said, took)
		}
	}
}

// The kernel reports that something waits when there are more runnable threads than CPUs.
func TestWaitingForACPUIsSeen(t *testing.T) {
	if stalled() == 0 {
		t.Skip("SKIPPED LOUDLY: this kernel does not tell of waiting (CONFIG_PSI)")
	}
	var spinners sync.WaitGroup
	defer spinners.Wait()
	var done atomic.Bool
	defer done.Store(true)
	n := 2*runtime.NumCPU() + 2
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n + 1))
	for range n {
		spinners.Go(func() {
			for !done.Load() { //nolint:revive // burns CPU
			}
		})
	}
	w := Start()
	for w.Waited() < 20*time.Millisecond {
		if w.Elapsed() > Patience {
			t.Fatalf("%d threads ran for %v and nobody waited for a CPU", n, w.Elapsed())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
