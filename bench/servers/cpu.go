package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpus returns the CPUs that this program may use.
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

// choose returns the CPUs of the server and the client. server and client are the requested
// ones, or negative. The default of the server is the last CPU. The default of the client is
// the first CPU of another core, or else the first other CPU, or else the server's. siblings
// returns the CPUs of the core of a CPU.
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

// siblings returns all CPUs of the core of a CPU, or none if the kernel doesn't say.
func siblings(cpu int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	if err != nil {
		return nil
	}
	return cpuList(strings.TrimSpace(string(b)))
}

// cpuList parses a list such as "0-1,4" (bitmap_parselist of the kernel).
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

// pin restricts all threads of this program, also later ones, to some CPUs, usually one.
func pin(cpus ...int) error {
	// The client's loop occupies one processor of the Go scheduler, so others need a second.
	// By default Go would reduce them to one when it notices that there is only one CPU.
	runtime.GOMAXPROCS(2)
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	// A thread that starts during the first pass may inherit all CPUs. The second pass finds
	// it.
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
			if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
				return fmt.Errorf("use the CPUs %v only: %w", cpus, err)
			}
		}
	}
	return nil
}
