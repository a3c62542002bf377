package testenv

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come. It costs nothing where that
// comes, and is long enough for a machine that does much else meanwhile.
const Patience = 2 * time.Minute

// Eventually waits until ok is true, for Patience or for bound if that is longer,
// and returns how long it took. Bound is what is promised: where it took longer, see
// [Stopwatch.Within].
func Eventually(t testing.TB, bound time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	w := Start()
	for !ok() {
		if w.Elapsed() > max(bound, Patience) {
			t.Fatalf("not within %v: %s", max(bound, Patience), what)
		}
		// To look is work, too: less often the longer it takes.
		time.Sleep(min(max(w.Elapsed()/20, time.Millisecond), 50*time.Millisecond))
	}
	return w.Within(t, bound, what)
}

// A Stopwatch measures how long something takes, and how long the machine was busy
// with other things meanwhile.
type Stopwatch struct {
	at    time.Time
	stall time.Duration // see stalled
}

// Start starts a Stopwatch.
func Start() Stopwatch { return Stopwatch{time.Now(), stalled()} }

// At is when it was started.
func (w Stopwatch) At() time.Time { return w.at }

// Elapsed is how long ago it was started.
func (w Stopwatch) Elapsed() time.Duration { return time.Since(w.at) }

// Within holds what has just happened against the time that it may take, counted
// from Start, and returns the time that it took. It fails the test if that was too
// long; but not if all of the excess can come of waiting for a CPU or a disk that
// others had: then the test goes on, and a line that begins with TOO BUSY says so,
// which scripts/test shows at its end.
func (w Stopwatch) Within(t testing.TB, bound time.Duration, what string) time.Duration {
	t.Helper()
	return w.Judge(t, w.Elapsed(), bound, what)
}

// Judge is Within for something whose time is known otherwise, and is not later than
// now.
func (w Stopwatch) Judge(t testing.TB, took, bound time.Duration, what string) time.Duration {
	t.Helper()
	if took <= bound {
		return took
	}
	if late := took - bound; w.Waited() < late {
		t.Errorf("it took %v, more than %v, and the machine was not busy: %s", took, bound, what)
		return took
	}
	tooBusy(t, fmt.Sprintf("it took %v instead of %v: %s", took.Round(time.Millisecond), bound, what))
	return took
}

// Waited is how long, since Start, something on this machine waited for a CPU, for
// memory or for a disk; 0 if the system does not tell.
func (w Stopwatch) Waited() time.Duration { return stalled() - w.stall }

// Busy tells whether something waited so for at least half of the time since Start. It is
// for tests that see by themselves that they could not measure, and ask for the reason.
func (w Stopwatch) Busy() bool { return w.Waited() >= w.Elapsed()/2 }

// tooBusy says that the machine had too much else to do for what only time can tell.
func tooBusy(t testing.TB, what string) {
	t.Helper()
	t.Logf("TOO BUSY: this machine had other work, so that this could not be told: %s", what)
}

// GiveUp skips the rest of the test for that reason. It is no missing requirement and no failure:
// scripts/test counts it by itself.
func GiveUp(t testing.TB, what string) {
	t.Helper()
	t.Skipf("TOO BUSY TO TELL: this machine had other work, so that this could not be told: %s", what)
}

// Measure calls measure and returns its error, for a test to judge. Where measure says that a
// busy machine excuses the error, and the machine was busy, it is called once more; after three
// times that is the outcome (see GiveUp): what could not be told.
func Measure(t testing.TB, what string, measure func() (excused bool, err error)) error {
	t.Helper()
	for try := 1; ; try++ {
		watch := Start()
		excused, err := measure()
		if err == nil || !excused || !watch.Busy() {
			return err
		}
		tooBusy(t, err.Error())
		if try == 3 {
			GiveUp(t, what+", in three runs")
		}
	}
}

// stalled is how long, since the system was started, there was a task that waited:
// for a CPU, for memory or for a disk (https://docs.kernel.org/accounting/psi.html),
// or for the machine that this one is simulated on (steal, see proc_stat(5)).
func stalled() (sum time.Duration) {
	for _, resource := range []string{"cpu", "io", "memory"} {
		b, err := os.ReadFile("/proc/pressure/" + resource)
		if err != nil {
			continue // not every kernel tells
		}
		line, _, _ := bytes.Cut(b, []byte("\n"))
		if _, total, ok := bytes.Cut(line, []byte(" total=")); ok {
			microseconds, _ := strconv.ParseInt(string(total), 10, 64)
			sum += time.Duration(microseconds) * time.Microsecond
		}
	}
	return sum + stolen()
}

// stolen is the time that this machine's CPUs were not its own, a CPU's on average.
func stolen() time.Duration {
	const hertz, column = 100, 8 // USER_HZ, which is 100 on all of Go's Linux ports
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) <= column {
		return 0
	}
	ticks, _ := strconv.ParseInt(string(fields[column]), 10, 64)
	return time.Duration(ticks) * time.Second / hertz / time.Duration(runtime.NumCPU())
}
