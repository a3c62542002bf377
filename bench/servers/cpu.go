package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpus are those that this program may use.
func cpus() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("which CPUs there are: %w", err)
	}
	var all []int
	for i := range len(set) * strconv.IntSize {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all, nil
}

// choose returns the CPUs of server and client: those asked for, where they are not
// negative; else the server has the last one, and the client the first one that is
// not of the same core (siblings returns the CPUs of a CPU's core), the first one
// that is, or, where there is only one, the same.
func choose(all []int, server, client int, siblings func(int) []int) (int, int, error) {
	may := func(flag string, cpu int) error {
		for _, c := range all {
			if c == cpu {
				return nil
			}
		}
		return fmt.Errorf("--%s is %d; this program may use the CPUs %v", flag, cpu, all)
	}
	if server < 0 {
		server = all[len(all)-1]
		if server == client {
			server = all[0]
		}
	} else if err := may("server-cpu", server); err != nil {
		return 0, 0, err
	}
	if client >= 0 {
		return server, client, may("client-cpu", client)
	}
	client = server
	for _, c := range all {
		if c == server {
			continue
		}
		if client == server {
			client = c
		}
		if !contains(siblings(server), c) {
			return server, c, nil
		}
	}
	return server, client, nil
}

func contains(all []int, cpu int) bool {
	for _, c := range all {
		if c == cpu {
			return true
		}
	}
	return false
}

// siblings returns the CPUs of the core that a CPU is of; none where the kernel
// doesn't tell.
func siblings(cpu int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	if err != nil {
		return nil
	}
	return cpuList(strings.TrimSpace(string(b)))
}

// cpuList reads a list such as "0-1,4" (the kernel's bitmap_parselist).
func cpuList(text string) []int {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil
		}
		to := from
		if ranged {
			if to, err = strconv.Atoi(last); err != nil || to-from > 1<<16 {
				return nil
			}
		}
		for c := from; c <= to; c++ {
			all = append(all, c)
		}
	}
	return all
}

// pin holds this program, all of its threads and those that it starts, on a CPU.
func pin(cpu int) error {
	// One processor for the client's loop, another for the rest: left alone, Go
	// would make it one as it learns of the CPU.
	runtime.GOMAXPROCS(2)
	var set unix.CPUSet
	set.Set(cpu)
	// A thread that starts meanwhile has the CPUs of the one that starts it: the
	// second look finds it.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH { //nolint:errorlint // a plain number
				return fmt.Errorf("use CPU %d only: %w", cpu, err)
			}
		}
	}
	return nil
}
