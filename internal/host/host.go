// Package host describes the machine on which something is measured, as far as that
// affects times, and what a process uses of it.
package host

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Describe returns a short description of the machine. It does not identify the machine.
func Describe() string {
	text := fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kib := field(string(b), "MemTotal:"); kib > 0 {
			text += fmt.Sprintf(", %d GiB of memory", (kib+1<<19)>>20)
		}
	}
	if model := cpuModel(); model != "" {
		text += ", " + model
	}
	return text
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Load returns the machine's load average of the last minute: how many programs,
// including the caller's, wanted a CPU. It returns 0 if that can't be read.
func Load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, _ := strconv.ParseFloat(first, 64) // 0 where it is not a number
	return load
}

// clockTick is the unit of times in /proc/PID/stat. Linux reports 100 per second on all
// of today's architectures (proc_pid_stat(5)).
const clockTick = 10 * time.Millisecond

// A Usage is what a process has used since its start.
type Usage struct {
	CPU      time.Duration // user and system time
	Resident int64         // current memory in bytes (VmRSS)
	Peak     int64         // largest memory so far, in bytes (VmHWM)
	Files    int           // open file descriptors
}

// Of returns what the process pid has used. Linux only.
func Of(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, err
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, err
	}
	cpu, err := cpuTime(string(stat))
	if err != nil {
		return Usage{}, err
	}
	files, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPU:      cpu,
		Resident: field(string(status), "VmRSS:") << 10,
		Peak:     field(string(status), "VmHWM:") << 10,
		Files:    len(files),
	}, nil
}

// cpuTime returns the sum of the fields 14 and 15 of /proc/PID/stat. The second field,
// the program's name in parentheses, may contain spaces and parentheses itself.
func cpuTime(stat string) (time.Duration, error) {
	_, rest, _ := cutLast(stat, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields after the name, not as many as Linux writes", len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// field returns the number after the name in a file of lines such as "MemTotal:  1234
// kB"; 0 if there is none.
func field(text, name string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if words := strings.Fields(rest); len(words) > 0 {
				n, _ := strconv.ParseInt(words[0], 10, 64) // 0 where it is not a number
				return n
			}
		}
	}
	return 0
}
