package sim

import (
	"context"
	"fmt"
	"time"
)

// stopTimeout bounds the end of a component that was killed, until the kernel has freed
// its memory.
const stopTimeout = 15 * time.Second

// A process is one component that the supervisor runs.
type process struct {
	name   string
	log    string        // file
	done   chan struct{} // closed when it has ended
	status string        // how it ended; read it only after done is closed
}

func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// start starts a component. If it has a socket, start returns when that accepts
// connections. log is the path under which this process reads req.Log.
func (s *supervisor) start(ctx context.Context, req request, log string) (*process, error) {
	req.Op = "start"
	p := &process{name: req.Name, log: log, done: make(chan struct{})}
	// Registered before it exists, since its end may be reported soon after the answer.
	s.mu.Lock()
	s.running[req.Name] = p
	s.mu.Unlock()
	if _, err := s.ask(ctx, req); err != nil {
		s.forget(p, "it did not start")
		return nil, fmt.Errorf("start %s: %w\nthe end of its log:\n%s", req.Name, err, tailOf(log))
	}
	return p, nil
}

// stop kills a component, and waits for its end. It is not an error if it has ended
// already.
func (s *supervisor) stop(p *process) error {
	s.forget(p, "it was stopped")
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if _, err := s.ask(ctx, request{Op: "stop", Name: p.name}); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}

// ended records the end of a component, as the supervisor reports it.
func (s *supervisor) ended(name, status string) {
	s.mu.Lock()
	p := s.running[name]
	s.mu.Unlock()
	if p != nil {
		s.forget(p, status)
	}
}

// forget marks a process as ended, unless it is already.
func (s *supervisor) forget(p *process, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[p.name] == p {
		delete(s.running, p.name)
		p.status = status
		close(p.done)
	}
}
