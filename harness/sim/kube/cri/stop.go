package cri

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StopContainer sends the stop signal, waits for the grace period, and kills the
// container. A second call with a shorter grace period shortens it, as the kubelet does
// when a pod is deleted by force.
func (s runtimeService) StopContainer(ctx context.Context, req *runtime.StopContainerRequest) (*runtime.StopContainerResponse, error) {
	c, err := s.get(req.ContainerId)
	if err != nil {
		return &runtime.StopContainerResponse{}, nil // it is gone already
	}
	if err := s.stopContainer(ctx, c, seconds(req.Timeout)); err != nil {
		return nil, err
	}
	return &runtime.StopContainerResponse{}, nil
}

// seconds converts a duration of the CRI. It is bounded, so that it does not overflow.
func seconds(n int64) time.Duration {
	const most = 1 << 31 // 68 years
	return time.Duration(max(0, min(n, most))) * time.Second
}

// stopContainer returns when the container has exited, or with an error if ctx ends
// before. Each call waits for its own grace period, so that the shortest one counts.
// The signal is sent once.
func (s *Server) stopContainer(ctx context.Context, c *container, grace time.Duration) error {
	if err := s.waitForStart(ctx, c); err != nil {
		return err
	}
	if grace > 0 {
		s.signalOnce(c, grace)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-c.done:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-timer.C:
		}
	}
	if s.kill(c) {
		s.log.line("container %s: SIGKILL after %v of grace", c.name(), grace)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// waitForStart waits for a StartContainer in progress, which takes milliseconds. A
// container that was never started becomes one that has exited.
func (s *Server) waitForStart(ctx context.Context, c *container) error {
	s.mu.Lock()
	if c.state == runtime.ContainerState_CONTAINER_CREATED && !c.starting {
		c.exit(time.Now(), startFailed, "Error", "it was stopped before it was started")
		close(c.settled)
	}
	s.mu.Unlock()
	select {
	case <-c.settled:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (s *Server) signalOnce(c *container, grace time.Duration) {
	s.mu.Lock()
	first := c.process != nil && !c.signalled
	if first {
		c.signalled = true
		_ = c.process.Process.Signal(c.stopSignal()) // if this fails, it has just ended
	}
	s.mu.Unlock()
	if first {
		s.log.line("container %s: %v, grace period %v", c.name(), unix.SignalName(c.stopSignal()), grace)
	}
}

// kill kills the container, and reports whether it was running. The kernel also kills
// all other processes in its PID namespace.
func (s *Server) kill(c *container) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.process != nil && c.process.Process.Kill() == nil
}
