package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEachServerAnswersAsOurs(t *testing.T) {
	want := fetchOurs(t)
	sizes := map[string]int{ByName: 400, NotModified: 0, List4K: 4000, List400K: 400_000}
	for _, w := range Workloads() {
		status := 200
		if w == NotModified {
			status = 304
		}
		a := want[w]
		if off := len(a.Body) - sizes[w]; a.Status != status || off > sizes[w]/10 || off < -sizes[w]/10 {
			t.Errorf("%s: status %d, %d bytes, wanted %d, %d", w, a.Status, len(a.Body), status, sizes[w])
		}
	}
	for _, name := range Names()[1:] {
		t.Run(name, func(t *testing.T) {
			s := start(t, name, Options{CPU: AnyCPU, Answers: want})
			set, err := Verify(t.Context(), name, s.Addr(), want)
			if err != nil {
				t.Fatal(err)
			}
			if err := set.complete(); err != nil {
				t.Error(err)
			}
			if s.Version() == "" {
				t.Error("no version")
			}
		})
	}
}

func TestStopEndsAllProcesses(t *testing.T) {
	want := fetchOurs(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := start(t, name, Options{CPU: AnyCPU, Answers: want})
			pids := s.PIDs()
			if processes := map[bool]int{true: 2, false: 1}[name == Nginx]; len(pids) != processes || gone(pids[0]) {
				t.Errorf("processes %v, wanted %d", pids, processes)
			}
			for range 2 {
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}
			waitGone(t, pids)
			if _, err := Fetch(t.Context(), s.Addr()); err == nil {
				t.Error("it still answers")
			}
		})
	}
}

// Stop reports that a server had ended by itself: it was then not measured to the end.
func TestStopTellsOfAnEarlierEnd(t *testing.T) {
	want := fetchOurs(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), Binary: service(t), CPU: AnyCPU, Answers: want}
			if name == Nginx {
				start(t, name, o) // or the test is skipped
			}
			s, err := Start(t.Context(), name, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, pid := range s.PIDs() {
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					t.Error(err)
				}
			}
			waitGone(t, s.PIDs())
			if err := s.Stop(); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestEachServerRunsOnItsCPU(t *testing.T) {
	want := fetchOurs(t)
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	cpu := -1
	for i := range len(mine) * 64 {
		if mine.IsSet(i) {
			cpu = i // the last one
		}
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			s := start(t, name, Options{CPU: cpu, Answers: want})
			if name != Ours { // it has done something, with all its threads
				if _, err := Verify(t.Context(), name, s.Addr(), want); err != nil {
					t.Fatal(err)
				}
			}
			for _, pid := range s.PIDs() {
				for _, may := range affinities(t, pid) {
					if may != fmt.Sprint(cpu) {
						t.Errorf("a thread of process %d may use the CPUs %s", pid, may)
					}
				}
			}
		})
	}
	for _, may := range affinities(t, os.Getpid()) {
		if mine.Count() > 1 && may == fmt.Sprint(cpu) {
			t.Errorf("a thread of this process may use CPU %s only", may)
		}
	}
}

// affinities returns the CPUs that each thread of a process may use.
func affinities(t *testing.T, pid int) (all []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("threads of %d: %v", pid, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it ended
		}
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "Cpus_allowed_list:")
		line, _, _ := strings.Cut(rest, "\n")
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	programs := nginxPrograms
	defer func() { nginxPrograms = programs }()
	nginxPrograms = []string{"no-such-nginx"}
	full := Set{ByName: {}, NotModified: {}, List4K: {}, List400K: {}}
	for _, c := range []struct {
		name, server string
		o            Options
		want         string
	}{
		{"unknown", "apache", Options{CPU: AnyCPU}, "no such contestant, but ours, fasthttp"},
		{"without answers", FastHTTP, Options{CPU: AnyCPU}, "no answer for the workload by-name"},
		{"answers that are none", Naive, Options{CPU: AnyCPU, Answers: full}, "the list of all toolsets"},
		{"not installed", Nginx, Options{CPU: AnyCPU, Answers: full}, "apt-get install nginx-light"},
		{"no service", Ours, Options{CPU: AnyCPU, Binary: "/no/such/file"}, "no such file"},
		{"arguments", Ours, Options{CPU: AnyCPU, Binary: service(t), Args: []string{"--no-such-flag"}}, "no-such-flag"},
		{"no such CPU", FastHTTP, Options{CPU: 1000, Answers: full}, "CPU 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Dir = t.TempDir()
			s, err := Start(t.Context(), c.server, c.o)
			if err == nil {
				_ = s.Stop()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.server) {
				t.Errorf("%v, wanted %q", err, c.want)
			}
			if errors.Is(err, ErrMissing) != (c.server == Nginx) {
				t.Errorf("%v: missing is %v", err, errors.Is(err, ErrMissing))
			}
		})
	}
	for _, args := range [][]string{nil, {"apache", "/"}, {FastHTTP}} {
		if err := Main(args); err == nil || !strings.Contains(err.Error(), "own use") {
			t.Errorf("Main(%q): %v", args, err)
		}
	}
}
