package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/sut"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

var (
	dir string // of the test's program
	// build builds the service when the first test needs it.
	build = sync.OnceValues(func() (string, error) { return sut.Build(context.Background(), dir) })
)

// service returns the service's binary.
func service(t *testing.T) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// hold is the first argument of the test binary when it is to start all servers, print their
// process ids and wait.
const hold = "hold-servers"

func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == Command:
		err = Main(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == hold:
		err = holdAll(os.Args[2], os.Args[3])
	default:
		os.Exit(run(m))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "server-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the tests are over
	return m.Run()
}

// installed returns the names of the servers that this machine has.
func installed() []string {
	var names []string
	for _, name := range Names() {
		_, noNginx := nginxProgram()
		_, noCompiler := exec.LookPath("cc")
		if name == Nginx && noNginx != nil || name == Limit && noCompiler != nil {
			continue
		}
		names = append(names, name)
	}
	return names
}

// start starts a server and stops it when the test ends.
func start(t *testing.T, name string, o Options) *Server {
	t.Helper()
	o.Dir, o.Binary = t.TempDir(), service(t)
	s, err := Start(t.Context(), name, o)
	if errors.Is(err, ErrMissing) {
		testenv.Missing(t, name, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
	})
	return s
}

// fetchOurs returns the service's answers.
func fetchOurs(t *testing.T) Set {
	t.Helper()
	set, err := Fetch(t.Context(), start(t, Ours, Options{CPU: AnyCPU}).Addr())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// gone reports whether the process has ended. It may still be a zombie.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X")
}

func waitGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for end := time.Now().Add(testenv.Patience); !gone(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("process %d is still there", pid)
				break
			}
		}
	}
}

// held refers to the servers that holdAll has started, so that the garbage collector does not
// close their standard input, which would end them.
var held []*Server

func holdAll(binary, dir string) error {
	set := Set{}
	for _, name := range installed() {
		s, err := Start(context.Background(), name, Options{Dir: dir, CPU: AnyCPU, Binary: binary, Answers: set})
		if err != nil {
			return err
		}
		held = append(held, s)
		if name == Ours {
			if set, err = Fetch(context.Background(), s.Addr()); err != nil {
				return err
			}
		}
		for _, pid := range s.PIDs() {
			fmt.Println(pid)
		}
	}
	fmt.Println("all")
	select {} // until it is killed
}

func TestServersEndWithWhoStartedThem(t *testing.T) {
	cmd := exec.Command(os.Args[0], hold, service(t), t.TempDir()) // #nosec G204 -- this test
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "all" {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if gone(pid) {
			t.Errorf("process %d ended too early", pid)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if len(pids) < len(installed()) {
		t.Fatalf("processes %v of the servers %v", pids, installed())
	}
	waitGone(t, pids)
}
