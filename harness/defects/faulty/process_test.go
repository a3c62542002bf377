package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// TestMain makes the test binary the server if it is asked to, so that tests run the
// real command in its own process, with the race detector.
func TestMain(m *testing.M) {
	if os.Getenv("BE_FAULTY") == "1" {
		main()
	}
	flag.Parse()
	flag.Set("test.parallel", "8") //nolint:errcheck // it exists; the tests mostly wait
	os.Exit(m.Run())
}

// patience bounds every wait of a test.
const patience = testenv.Patience

// A process is a running server.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	gone chan struct{} // closed when it has ended

	mu      sync.Mutex
	lines   []map[string]any
	strange []string // lines that are not JSON, such as a race report
	more    chan struct{}
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...) // #nosec G204 -- the test itself
	// The race detector would keep a process for a second after its exit.
	cmd.Env = append(os.Environ(), "BE_FAULTY=1", "POD_NAME=pod-1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// launch starts a server on a free port.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(append([]string{"--listen=127.0.0.1:0"}, args...)...), gone: make(chan struct{}), more: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stderr)
	t.Cleanup(func() {
		p.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-p.gone
		if t.Failed() {
			for _, line := range p.lines {
				t.Log(line)
			}
		}
		if len(p.strange) > 0 {
			t.Errorf("not a JSON line:\n%s", strings.Join(p.strange, "\n"))
		}
	})
	if !p.logged("Listening", patience) {
		t.Fatal("the server did not start")
	}
	first := p.log()[0]
	if first["msg"] != "Listening" {
		t.Fatalf("the first line is %v", first)
	}
	p.addr = first["address"].(string)
	return p
}

func (p *process) follow(stderr io.Reader) {
	defer close(p.gone)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		var line map[string]any
		err := json.Unmarshal(s.Bytes(), &line)
		p.mu.Lock()
		if err != nil {
			p.strange = append(p.strange, s.Text())
		} else {
			p.lines = append(p.lines, line)
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	p.cmd.Wait() //nolint:errcheck // the exit code is read later
}

func (p *process) log() []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

func (p *process) messages() (m []string) {
	for _, line := range p.log() {
		m = append(m, line["msg"].(string))
	}
	return m
}

// logged waits for a line. It returns false if the process ends without it, or the time
// is over.
func (p *process) logged(message string, within time.Duration) bool {
	end := time.After(within)
	for {
		p.mu.Lock()
		more := p.more
		p.mu.Unlock()
		if slices.Contains(p.messages(), message) {
			return true
		}
		select {
		case <-more:
		case <-p.gone:
			return slices.Contains(p.messages(), message)
		case <-end:
			return false
		}
	}
}

func (p *process) has(message string) bool { return slices.Contains(p.messages(), message) }

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

var errStillRunning = errors.New("still running")

// exit waits for the end of the process, and returns its exit code.
func (p *process) exit(within time.Duration) (int, error) {
	select {
	case <-p.gone:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		return 0, errStillRunning
	}
}

// exits fails the test unless the process ends with this code.
func (p *process) exits(code int) {
	p.t.Helper()
	if got, err := p.exit(patience); err != nil || got != code {
		p.t.Errorf("exit code %d (%v), want %d", got, err, code)
	}
}
