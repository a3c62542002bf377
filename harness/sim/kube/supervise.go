package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/network"
)

// supervise runs the supervisor of one simulated control plane. It makes the state
// directory, and starts and stops components in it on request. When its standard input
// ends (the owner has closed it, or has ended in whatever way) or it receives a signal,
// it kills every component, removes the directory and exits.
//
// It is a process, not a goroutine of the owner, since it must outlive the owner to
// clean up. It makes the directory itself, so that there is never a directory that
// nobody removes.
func supervise() int {
	dir, err := makeStateDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise:", err)
		return 1
	}
	code := 0
	// Paths of sockets are relative to this directory: a unix socket's path is limited
	// to about 108 bytes, and the temporary directory may be deep.
	err = os.Chdir(dir)
	if err == nil {
		s := newSupervisor(nil)
		err = s.serve(message{Dir: dir})
		s.killAll()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise:", err)
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise: remove the state directory by hand:", err)
		code = 1
	}
	return code
}

func makeStateDir() (string, error) {
	dir, err := os.MkdirTemp("", "dynamic-toolset-sim-")
	if err != nil {
		return "", fmt.Errorf("make the state directory (is TMPDIR writable?): %w", err)
	}
	return dir, nil
}

// A supervisor is only used by the goroutine of serve. Others send it what happens on
// channels.
type supervisor struct {
	out      *json.Encoder
	running  map[string]*component // by name
	lifeline [2]*os.File
	network  *network.Network // nil if there are no nodes
}

func newSupervisor(n *network.Network) *supervisor {
	return &supervisor{out: json.NewEncoder(os.Stdout), running: map[string]*component{}, network: n}
}

// serve handles requests in the current directory until the input ends, a signal
// arrives or the owner can't be reached.
func (s *supervisor) serve(greeting message) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.lifeline = [2]*os.File{r, w}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// A write to an owner that is gone must return an error, not end this process
	// before it has removed the directory.
	signal.Ignore(syscall.SIGPIPE)

	if err := s.out.Encode(greeting); err != nil {
		return fmt.Errorf("greet the owner: %w", err)
	}
	requests := readRequests()
	exits := make(chan *component)
	for {
		var err error
		select {
		case req, ok := <-requests:
			if !ok {
				return nil
			}
			answer := message{ID: req.ID}
			if err := s.handle(req, exits); err != nil {
				answer.Error = err.Error()
			}
			err = s.out.Encode(answer)
		case c := <-exits:
			if s.running[c.name] != c {
				continue // it was stopped on request
			}
			delete(s.running, c.name)
			err = s.out.Encode(message{Exited: c.name, Status: c.status()})
		case <-signals:
			return nil
		}
		if err != nil {
			return fmt.Errorf("write to the owner: %w", err)
		}
	}
}

// readRequests returns a channel with the requests on the standard input. It is closed
// at the end, or at the first line that is not a request. The goroutine ends with the
// process.
func readRequests() <-chan request {
	requests := make(chan request)
	go func() {
		defer close(requests)
		in := json.NewDecoder(bufio.NewReader(os.Stdin))
		for {
			var req request
			if err := in.Decode(&req); err != nil {
				return
			}
			requests <- req
		}
	}()
	return requests
}

func (s *supervisor) handle(req request, exits chan<- *component) error {
	if s.network == nil && (req.Node != "" || req.Op == "cut" || req.Op == "restore") {
		return fmt.Errorf("%s %s: a control plane alone has no nodes", req.Op, req.Name)
	}
	switch req.Op {
	case "start":
		return s.start(req, exits)
	case "stop":
		if c := s.running[req.Name]; c != nil {
			delete(s.running, req.Name)
			c.kill()
		}
		return nil
	case "cut":
		return s.network.Cut(req.Name)
	case "restore":
		return s.network.Restore(req.Name)
	}
	return fmt.Errorf("unknown request %q: the binary and package sim are of different versions; build again", req.Op)
}

func (s *supervisor) start(req request, exits chan<- *component) error {
	if s.running[req.Name] != nil {
		return fmt.Errorf("%s runs already: stop it first", req.Name)
	}
	var launch func(*exec.Cmd) error
	if req.Node != "" {
		var err error
		if launch, err = s.onNode(req); err != nil {
			return err
		}
	}
	c, err := startComponent(req, s.lifeline[0], exits, launch)
	if err != nil {
		return err
	}
	s.running[req.Name] = c
	if err := c.waitForSocket(req.Socket); err != nil {
		delete(s.running, req.Name)
		c.kill()
		return err
	}
	return nil
}

func (s *supervisor) killAll() {
	for _, c := range s.running {
		c.kill()
	}
	s.running = nil
}
