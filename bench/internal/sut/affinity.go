package sut

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// AnyCPU stands for all CPUs.
const AnyCPU = -1

// OnCPU calls start, which starts a process, and restricts the process with all of its
// threads to this CPU. The restriction holds from the first instruction, since a process
// inherits the CPUs of the thread that starts it. A Go program then sees one CPU and sets
// GOMAXPROCS to 1.
func OnCPU(cpu int, start func() error) error {
	if cpu == AnyCPU {
		return start()
	}
	// The thread must not end, as it would without UnlockOSThread: its end would send the
	// Pdeathsig to the process (PR_SET_PDEATHSIG of prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the CPUs of this thread: %w", err)
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("use CPU %d only (this program may use %d CPUs): %w", cpu, before.Count(), err)
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &before); back != nil {
		// Other goroutines on this thread would use the CPU on which servers are measured.
		panic(fmt.Sprintf("give this thread back its CPUs: %v", back))
	}
	return err
}
