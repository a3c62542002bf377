package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// supervise runs the supervisor of one simulated cluster: it makes the state
// directory, starts and stops components in it on request, and when its standard
// input ends (the owner closed it, or died in whatever way) or it is signalled,
// it kills every component, removes the directory and exits.
//
// It is a process, not a goroutine of the owner, because only something that
// outlives the owner can clean up after it. It makes the directory itself so that
// there is no moment at which the directory exists and nobody will remove it.
func supervise() int {
	dir, err := os.MkdirTemp("", "dynamic-toolset-sim-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise: make the state directory (is TMPDIR writable?):", err)
		return 1
	}
	s := &supervisor{out: json.NewEncoder(os.Stdout), running: map[string]*component{}}
	code := 0
	if err := s.serve(dir); err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise:", err)
		code = 1
	}
	s.killAll()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "kube supervise: remove the state directory by hand:", err)
		code = 1
	}
	return code
}

// supervisor is used by one goroutine, that of serve; what happens elsewhere
// reaches it over channels.
type supervisor struct {
	out      *json.Encoder
	running  map[string]*component
	lifeline [2]*os.File
}

// serve works until the input ends, a signal arrives or the owner cannot be
// reached any more.
func (s *supervisor) serve(dir string) error {
	// Sockets are named relative to here: a unix socket's path is limited to
	// about 108 bytes, and the temporary directory may be deep.
	if err := os.Chdir(dir); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.lifeline = [2]*os.File{r, w}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// A write to an owner that is gone is an error to return, not a reason to die
	// without removing the directory.
	signal.Ignore(syscall.SIGPIPE)

	if err := s.out.Encode(message{Dir: dir, PID: os.Getpid()}); err != nil {
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
			err = s.out.Encode(s.handle(req, exits))
		case c := <-exits:
			if s.running[c.role] != c {
				continue // it was stopped on request
			}
			delete(s.running, c.role)
			err = s.out.Encode(message{Exited: c.role, Status: c.status()})
		case <-signals:
			return nil
		}
		if err != nil {
			return fmt.Errorf("write to the owner: %w", err)
		}
	}
}

// readRequests turns the standard input into a channel that is closed at its end
// or at the first line that is no request. Its goroutine ends with the process.
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

func (s *supervisor) handle(req request, exits chan<- *component) message {
	answer := message{ID: req.ID}
	fail := func(err error) message {
		answer.Error = err.Error()
		return answer
	}
	switch req.Op {
	case "start":
		if s.running[req.Role] != nil {
			return fail(fmt.Errorf("%s runs already: stop it first", req.Role))
		}
		c, err := startComponent(req, s.lifeline[0], exits)
		if err != nil {
			return fail(err)
		}
		s.running[req.Role] = c
		answer.PID = c.pid()
		if err := c.waitForSocket(req.Socket); err != nil {
			delete(s.running, req.Role)
			c.kill()
			return fail(err)
		}
	case "stop":
		if c := s.running[req.Role]; c != nil {
			delete(s.running, req.Role)
			c.kill()
		}
	default:
		return fail(fmt.Errorf("unknown request %q: the binary and package sim are of different versions; build again", req.Op))
	}
	return answer
}

func (s *supervisor) killAll() {
	for _, c := range s.running {
		c.kill()
	}
	s.running = nil
}
