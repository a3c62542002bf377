// Package shutdown stops the process without losing a request: DD-007. It knows neither
// HTTP nor Kubernetes. What it stops is a [Server], and a list of [Component] values with
// names.
//
// [Catch] catches the signals, from the first moment of the process to its last. A signal
// starts a [Sequence]:
//
//  1. Readiness fails, and every response announces that its connection will be closed.
//  2. The server goes on for the propagation delay, since nodes and proxies still send it
//     requests until they have learned that its endpoint is gone.
//  3. The drain: requests in flight are answered, and no new ones are accepted.
//  4. The components are closed, one after the other.
//
// The exit code tells how that went. Each step writes a log line; the texts are a
// contract, see docs/operations.md.
package shutdown

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Exit codes of a process that was stopped by a signal.
const (
	ExitOK          = 0
	ExitDrainFailed = 1
	ExitInterrupted = 130 // a second SIGINT
)

// ErrDrainTimeout means that requests were still in flight, or connections open, when the
// time for the drain was over. They were cut off.
var ErrDrainTimeout = errors.New("the drain timed out")

// closeTimeout bounds the closing of each component.
const closeTimeout = 10 * time.Second

// A Server answers requests and can stop without losing one. Its methods are called once,
// in this order.
type Server interface {
	// Flag makes readiness fail from the next request on, and every response announce
	// that its connection will be closed. The server goes on serving.
	Flag()
	// Open returns the number of open connections, and of requests in flight.
	Open() (connections, inFlight int)
	// Drain waits until all requests are answered and accepts no new ones. It cuts off
	// what is left after timeout; the error says what that was.
	Drain(timeout time.Duration) error
}

// A Component is a part of the process that is closed after the drain.
type Component struct {
	Name string // for the log
	// Close closes the component. Its context ends after 10 s; a Close that has not
	// returned by then is no longer waited for.
	Close func(context.Context) error
}

// Options of a Sequence. Server is required.
type Options struct {
	Server Server
	// PropagationDelay is how long the server goes on serving after it was told to stop,
	// while Kubernetes removes its endpoint everywhere. Zero means no wait.
	PropagationDelay time.Duration
	// DrainTimeout bounds the drain that follows. Zero means 30 s.
	DrainTimeout time.Duration
	// Components are closed in this order.
	Components []Component
	Log        *zap.Logger // default: none
}

// A Sequence is one shutdown, which runs once.
type Sequence struct {
	Options
	once sync.Once
	done chan struct{}
	err  error
}

// New returns a sequence that has not started.
func New(o Options) *Sequence {
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Sequence{Options: o, done: make(chan struct{})}
}

// Run runs the sequence. It returns nil, or an error that wraps ErrDrainTimeout.
//
// The sequence runs once: later calls wait for it and return its result. If ctx ends, Run
// returns ctx.Err, but the sequence goes on.
func (s *Sequence) Run(ctx context.Context) error {
	s.once.Do(func() {
		go func() {
			defer close(s.done)
			s.err = s.run()
		}()
	})
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sequence) run() error {
	start := time.Now()
	s.Log.Info("Initiating DD-007 Kubernetes-aware graceful shutdown",
		zap.Duration("propagation_delay", s.PropagationDelay), zap.Duration("drain_timeout", s.DrainTimeout))
	s.Server.Flag()
	s.Log.Info("Shutdown flag set - readiness probe now returns 503")

	s.Log.Info("Waiting for Kubernetes endpoint removal propagation", zap.Duration("delay", s.PropagationDelay))
	time.Sleep(s.PropagationDelay)
	s.Log.Info("Endpoint removal propagation complete")

	open, inFlight := s.Server.Open()
	s.Log.Info("Draining in-flight HTTP connections", zap.Int("open_connections", open), zap.Int("in_flight_requests", inFlight))
	drainBegan := time.Now()
	err := s.Server.Drain(s.DrainTimeout)
	if err == nil {
		s.Log.Info("HTTP connections drained successfully", zap.Duration("duration", time.Since(drainBegan)))
	} else {
		err = fmt.Errorf("%w: %w", ErrDrainTimeout, err)
		s.Log.Error("HTTP connections drain timed out", zap.Error(err))
	}

	s.Log.Info("Closing external resources (Kubernetes client)")
	for _, c := range s.Components {
		if err := c.close(); err != nil {
			s.Log.Error("An external resource did not close", zap.String("resource", c.Name), zap.Error(err))
		}
	}
	s.Log.Info("DD-007 Kubernetes-aware graceful shutdown complete", zap.Duration("duration", time.Since(start)))
	return err
}

// close closes the component, or gives up after closeTimeout.
func (c Component) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Close(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.New("background work did not end in time")
	}
}
