package sim

import (
	"context"
	"fmt"
	"time"
)

// stopTimeout bounds the end of one component, which is killed: what remains is
// the kernel giving back its memory.
const stopTimeout = 15 * time.Second

// process is one component under the supervisor.
type process struct {
	name   string
	log    string        // its file
	done   chan struct{} // closed when it has ended
	status string        // how; read it only after done
}

func (p *process) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// start starts a component; with a socket, it returns when that accepts. log is
// where we read what the supervisor writes to req.Log.
func (s *supervisor) start(ctx context.Context, req request, log string) (*process, error) {
	req.Op = "start"
	p := &process{name: req.Name, log: log, done: make(chan struct{})}
	// Known before it exists: the news of its end may follow the answer closely.
	s.mu.Lock()
	s.running[req.Name] = p
	s.mu.Unlock()
	if _, err := s.ask(ctx, req); err != nil {
		s.forget(p, "it did not start")
		return nil, fmt.Errorf("start %s: %w\nthe end of its log:\n%s", req.Name, err, tailOf(log))
	}
	return p, nil
}

// stop kills a component and waits for its end; one that has ended is no error.
func (s *supervisor) stop(p *process) error {
	s.forget(p, "it was stopped")
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if _, err := s.ask(ctx, request{Op: "stop", Name: p.name}); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}

// ended records what the supervisor reports.
func (s *supervisor) ended(name, status string) {
	s.mu.Lock()
	p := s.running[name]
	s.mu.Unlock()
	if p != nil {
		s.forget(p, status)
	}
}

// forget marks a process as ended, once.
func (s *supervisor) forget(p *process, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[p.name] == p {
		delete(s.running, p.name)
		p.status = status
		close(p.done)
	}
}
