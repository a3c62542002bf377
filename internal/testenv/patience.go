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

// Patience is how long a test waits for an event. Waiting ends when the event comes, so
// it is long enough for a machine that is busy with other things.
const Patience = 2 * time.Minute

// Eventually waits until ok returns true, and returns how long that took. It fails the
// test after Patience, or bound if that is longer. bound is the time that was promised:
// if it was exceeded, see [Stopwatch.Within].
func Eventually(t testing.TB, bound time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	w := Start()
	for !ok() {
		if w.Elapsed() > max(bound, Patience) {
			t.Fatalf("not within %v: %s", max(bound, Patience), what)
		}
		// Calling ok costs something too, so it is called less often the longer it takes.
		time.Sleep(min(max(w.Elapsed()/20, time.Millisecond), 50*time.Millisecond))
	}
	return w.Within(t, bound, what)
}

// A Stopwatch measures how long something takes, and how long the machine was busy with
// other things meanwhile.
type Stopwatch struct {
	at    time.Time
	stall time.Duration // see stalled
}

// Start starts a Stopwatch.
func Start() Stopwatch { return Stopwatch{time.Now(), stalled()} }

// At returns when the Stopwatch was started.
func (w Stopwatch) At() time.Time { return w.at }

// Elapsed returns the time since Start.
func (w Stopwatch) Elapsed() time.Duration { return time.Since(w.at) }

// Within checks that what has just happened took at most bound since Start, and returns
// how long it took. It fails the test if that was too long, unless waiting for a CPU,
// memory or a disk that something else used can explain all of the excess. Then the test
// goes on, and logs a line that begins with TOO BUSY, which scripts/test prints again at
// its end.
func (w Stopwatch) Within(t testing.TB, bound time.Duration, what string) time.Duration {
	t.Helper()
	return w.Judge(t, w.Elapsed(), bound, what)
}

// Judge is Within for something that took a known time and ended now or before.
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

// Waited returns for how long, since Start, something on this machine waited for a CPU,
// memory or a disk; 0 if the system does not tell.
func (w Stopwatch) Waited() time.Duration { return stalled() - w.stall }

// Busy reports whether that was at least half of the time since Start. It is for tests
// that find out by themselves that they could not measure.
func (w Stopwatch) Busy() bool { return w.Waited() >= w.Elapsed()/2 }

// tooBusy logs that the machine was too busy to judge what only time can tell.
func tooBusy(t testing.TB, what string) {
	t.Helper()
	t.Logf("TOO BUSY: this machine had other work, so that this could not be told: %s", what)
}

// GiveUp skips the rest of the test because the machine was too busy. That counts neither
// as a missing requirement nor as a failure; scripts/test counts it separately.
func GiveUp(t testing.TB, what string) {
	t.Helper()
	t.Skipf("TOO BUSY TO TELL: this machine had other work, so that this could not be told: %s", what)
}

// Measure calls measure and returns its error. If measure says that a busy machine
// excuses the error, and the machine was busy, Measure calls it again. After three
// attempts it ends the test by GiveUp.
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

// stalled returns for how long, since the system was started, some task waited for a CPU,
// memory or a disk (https://docs.kernel.org/accounting/psi.html), or for the host of this
// virtual machine (steal, see proc_stat(5)).
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

// stolen returns the time for which the host gave this machine's CPUs to others, as an
// average per CPU.
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
