package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// autogroup is the file with the niceness of this session's autogroup. On a Linux with
// autogroups, the niceness of a process only counts within its own (sched(7), "The autogroup
// feature").
const autogroup = "/proc/self/autogroup"

const mostFavourable = -20 // niceness

// prefer gives this program, and those that it starts later, the highest priority for the
// CPUs until restore is called.
func prefer() (restore func() error, err error) {
	was, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return nil, err
	}
	was = 20 - was // the system call returns 20 minus the niceness (getpriority(2))
	group, grouped := "", false
	if b, err := os.ReadFile(autogroup); err == nil { // "/autogroup-12 nice 0"
		_, group, grouped = strings.Cut(strings.TrimSpace(string(b)), " nice ")
	}
	restore = func() error {
		err := niceness(was)
		if grouped {
			err = errors.Join(err, os.WriteFile(autogroup, []byte(group), 0))
		}
		return err
	}
	err = niceness(mostFavourable)
	if err == nil && grouped {
		err = os.WriteFile(autogroup, []byte(strconv.Itoa(mostFavourable)), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--priority needs the right to it (root, or CAP_SYS_NICE): %w", err), restore())
	}
	return restore, nil
}

// niceness sets the niceness of all threads of this program. Later threads and processes
// inherit it.
func niceness(n int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, n); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
