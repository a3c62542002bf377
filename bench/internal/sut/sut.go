// Package sut runs the system under test: the service's real binary, as a process of its own.
package sut

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/internal/host"
)

// buildTimeout bounds the build. With an empty build cache it takes a minute or two on two
// cores.
const buildTimeout = 10 * time.Minute

// Build builds the service with the flags of a release, from the module of the working
// directory, and returns the path of the binary in dir.
func Build(ctx context.Context, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary := filepath.Join(dir, "dynamic-toolset")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "kubernaut.io/dynamic-toolset")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the service (run this inside of its repository, with Go in PATH): %w\n%s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// A Process is a running service. End it with Stop.
type Process struct {
	API, Metrics string    // base URLs
	Started      time.Time // just before the process was started

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
	err   error         // of cmd.Wait; set before ended is closed

	mu   sync.Mutex
	tail []string // the last lines of its log
}

const (
	tailLines    = 20
	startTimeout = 10 * time.Second // until it logs where it listens
	stopTimeout  = 45 * time.Second // DD-007: 5 s, then a drain of at most 30 s
)

// Start runs the binary with these arguments, on any free ports, and returns when it listens.
// It may not be ready then.
func Start(ctx context.Context, binary string, args ...string) (*Process, error) {
	return StartOn(ctx, AnyCPU, binary, args...)
}

// StartOn is like Start, but restricts the process to one CPU; see OnCPU.
func StartOn(ctx context.Context, cpu int, binary string, args ...string) (*Process, error) {
	args = append([]string{"serve", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--log-format=json"}, args...)
	cmd := exec.Command(binary, args...) // #nosec G204 -- the caller's own build
	// It must end even if this program is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The environment must not change the settings.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TOOLSET_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, ended: make(chan struct{}), Started: time.Now()}
	if err := OnCPU(cpu, cmd.Start); err != nil {
		return nil, err
	}
	serving := make(chan struct{})
	go p.follow(log, serving)
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-serving:
		return p, nil
	case <-p.ended:
		err = fmt.Errorf("the service ended at once: %w", p.failure())
	case <-timeout.C:
		err = fmt.Errorf("the service did not listen within %v", startTimeout)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, errors.Join(err, p.kill(), errors.New(p.LogTail()))
}

// follow reads the log to its end and keeps its last lines. It closes serving when the log
// says where the service listens.
func (p *Process) follow(log io.Reader, serving chan struct{}) {
	defer func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.keep(lines.Text())
		if p.API != "" {
			continue
		}
		var line struct{ Msg, API, Metrics string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "Serving" {
			p.API, p.Metrics = "http://"+line.API, "http://"+line.Metrics
			close(serving)
		}
	}
	_, _ = io.Copy(io.Discard, log) // the scanner stops at a line that is too long
}

func (p *Process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tail) == tailLines {
		p.tail = append(p.tail[:0], p.tail[1:]...)
	}
	p.tail = append(p.tail, line)
}

// LogTail returns the last lines of the service's log.
func (p *Process) LogTail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "\n")
}

func (p *Process) failure() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit code 0")
}

// readyTick is the pause between two requests for /ready. It limits the precision of
// WaitReady's result.
const readyTick = 2 * time.Millisecond

// WaitReady waits until /ready answers 200 and returns how long that took since Started.
func (p *Process) WaitReady(ctx context.Context) (time.Duration, error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	last := "no answer yet"
	for {
		res, err := client.Get(p.API + "/ready")
		if err == nil {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // for a message only
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return time.Since(p.Started), nil
			}
			last = res.Status + " " + string(body)
		}
		select {
		case <-time.After(readyTick):
		case <-p.ended:
			return 0, fmt.Errorf("the service ended: %w\n%s", p.failure(), p.LogTail())
		case <-ctx.Done():
			return 0, fmt.Errorf("the service was not ready in time, /ready says: %s\n%s", last, p.LogTail())
		}
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Usage returns what the process has used so far.
func (p *Process) Usage() (host.Usage, error) { return host.Of(p.cmd.Process.Pid) }

// Stop stops the service with SIGTERM and waits for its end. It returns an error if the
// service had ended before, or if its exit code is not 0.
func (p *Process) Stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the service had ended by itself: %w\n%s", p.failure(), p.LogTail())
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the service did not stop within %v", stopTimeout), p.kill())
	}
}

func (p *Process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Version returns the version of the working directory that git describes, or "unknown".
func Version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
