package sim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	greetingTimeout   = 30 * time.Second // 0.05 s on an idle host
	supervisorTimeout = 15 * time.Second // to kill everything and remove the directory
)

// supervisor is this process's end of the supervisor process, which owns the components
// and the state directory (kube/supervise.go). Its standard input is a lifeline: when
// that is closed, by end or since this process has ended, all processes end.
type supervisor struct {
	greeting message

	cmd    *exec.Cmd
	input  io.WriteCloser
	stderr bytes.Buffer // read it only after gone is closed

	gone chan struct{} // closed when the process has ended

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan message // by request; closed without an answer at the end
	running map[string]*process  // by name
}

// request, message and nodeInfo are documented in kube/protocol.go.
type request struct {
	ID     int      `json:"id"`
	Op     string   `json:"op"`
	Name   string   `json:"name,omitempty"`
	Role   string   `json:"role,omitempty"`
	Node   string   `json:"node,omitempty"`
	Args   []string `json:"args,omitempty"`
	Log    string   `json:"log,omitempty"`
	Socket string   `json:"socket,omitempty"`
}

type message struct {
	ID          int        `json:"id"`
	Error       string     `json:"error"`
	Exited      string     `json:"exited"`
	Status      string     `json:"status"`
	Dir         string     `json:"dir"`
	Unsupported bool       `json:"unsupported"`
	OneUser     bool       `json:"oneUser"`
	Outside     string     `json:"outside"`
	Nodes       []nodeInfo `json:"nodes"`
}

type nodeInfo struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Pods    string `json:"pods"`
	Root    string `json:"root"`
	State   string `json:"state"`
}

// isGreeting reports whether it is the first message, which may be an error.
func (m message) isGreeting() bool { return m.Dir != "" || m.Error != "" && m.ID == 0 }

// startSupervisor starts the binary with these arguments, and waits for its greeting.
func startSupervisor(ctx context.Context, binary string, args ...string) (*supervisor, error) {
	s := &supervisor{gone: make(chan struct{}), waiting: map[int]chan message{}, running: map[string]*process{}}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stderr = &s.stderr
	s.cmd.Env = componentEnv(os.Environ())
	// In its own process group, so that Ctrl-C at the terminal reaches only this
	// process, which ends the others in the right order.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the supervisor %s (delete the file to have it built again): %w", binary, err)
	}
	greeting := make(chan message, 1)
	go s.read(output, greeting)
	ctx, cancel := context.WithTimeout(ctx, greetingTimeout)
	defer cancel()
	select {
	case m := <-greeting:
		s.greeting = m
		if m.Error == "" {
			return s, nil
		}
		err := errors.New(m.Error)
		if m.Unsupported {
			err = fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return nil, errors.Join(err, s.end())
	case <-s.gone:
		return nil, fmt.Errorf("the supervisor ended at once: %s", strings.TrimSpace(s.stderr.String()))
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("the supervisor did not start: %w", ctx.Err()), s.end())
	}
}

// read handles the supervisor's messages until it ends, and then waits for the process.
// It is the only goroutine of this type, and ends when the input is closed.
func (s *supervisor) read(output io.Reader, greeting chan<- message) {
	in := json.NewDecoder(bufio.NewReader(output))
	for {
		var m message
		if err := in.Decode(&m); err != nil {
			break
		}
		switch {
		case m.isGreeting():
			greeting <- m // buffered, and sent once
		case m.Exited != "":
			s.ended(m.Exited, m.Status)
		default:
			s.answer(m)
		}
	}
	_ = s.cmd.Wait() // stderr says more than the exit code
	s.mu.Lock()
	for id, ch := range s.waiting {
		delete(s.waiting, id)
		close(ch)
	}
	for name, p := range s.running {
		delete(s.running, name)
		p.status = "the supervisor ended"
		close(p.done)
	}
	s.mu.Unlock()
	close(s.gone)
}

func (s *supervisor) answer(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch, ok := s.waiting[m.ID]; ok {
		delete(s.waiting, m.ID)
		ch <- m // buffered
	}
}

// ask sends a request, and waits for the answer or the end of ctx.
func (s *supervisor) ask(ctx context.Context, req request) (message, error) {
	ch := make(chan message, 1)
	s.mu.Lock()
	s.lastID++
	req.ID = s.lastID
	s.waiting[req.ID] = ch
	// Under the lock, so that lines do not mix. It can't block for long: the supervisor
	// always reads, and a line fits into the pipe.
	err := json.NewEncoder(s.input).Encode(req)
	s.mu.Unlock()
	if err != nil {
		return message{}, fmt.Errorf("the supervisor is gone: %w", err)
	}
	select {
	case m, ok := <-ch:
		if !ok {
			return message{}, errors.New("the supervisor is gone")
		}
		if m.Error != "" {
			return message{}, errors.New(m.Error)
		}
		return m, nil
	case <-ctx.Done():
		return message{}, fmt.Errorf("%s %s: %w", req.Op, req.Name, ctx.Err())
	}
}

// end closes the lifeline, and waits until all processes have ended.
func (s *supervisor) end() error {
	_ = s.input.Close()
	timer := time.NewTimer(supervisorTimeout)
	defer timer.Stop()
	var err error
	select {
	case <-s.gone:
	case <-timer.C:
		// The components end with the supervisor.
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.gone
		err = fmt.Errorf("the supervisor did not end within %s and was killed", supervisorTimeout)
	}
	if said := strings.TrimSpace(s.stderr.String()); said != "" {
		err = errors.Join(err, errors.New(said))
	}
	if s.greeting.Dir == "" {
		return err
	}
	// There is something to remove only if the supervisor was killed.
	return errors.Join(err, os.RemoveAll(s.greeting.Dir))
}
