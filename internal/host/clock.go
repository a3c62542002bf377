package host

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpuClock is what makes a process's number that of its CPU clock: CPUCLOCK_SCHED,
// all threads (the kernel's include/linux/posix-timers_types.h, clock_getcpuclockid(3)).
const cpuClock = 2

// CPUTime returns what the processes have used of the processor since their start,
// all of their threads, user and system time, to the nanosecond, which [Of] tells
// in hundredths of a second. Linux only.
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
