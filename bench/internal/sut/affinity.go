package sut

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// AnyCPU is no CPU in particular.
const AnyCPU = -1

// OnCPU calls start, which starts a process, such that the process may use this
// CPU only, with all the threads that it will have and from its first instruction
// on: a process inherits the CPUs of the thread that starts it. A Go program sees
// one CPU then, and sets GOMAXPROCS to 1.
func OnCPU(cpu int, start func() error) error {
	if cpu == AnyCPU {
		return start()
	}
	// The thread is given back as it was, and not ended: Pdeathsig would end the
	// process with it (PR_SET_PDEATHSIG of prctl(2)).
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
		// Whatever else runs on this thread would share the CPU that is measured.
		panic(fmt.Sprintf("give this thread back its CPUs: %v", back))
	}
	return err
}
