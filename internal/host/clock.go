package host

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock turns the id of a process into the id of its CPU clock: CPUCLOCK_SCHED, of all
// threads (include/linux/posix-timers_types.h of the kernel, clock_getcpuclockid(3)).
const cpuClock = 2

// CPUTime returns the CPU time that the processes have used since their start, user and
// system time of all threads, in nanoseconds; [Of] returns it in hundredths of a second.
// Linux only.
func CPUTime(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		if pid < 1 {
			return 0, fmt.Errorf("there is no process %d", pid)
		}
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|cpuClock), &ts); err != nil { // #nosec G115 -- at most 2^22, pid_max
			return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}
