package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// ErrDrainTimeout means that requests were still in flight, or connections
// open, when the time for the drain was over; they were cut.
var ErrDrainTimeout = errors.New("the drain timed out")

const (
	// drainTick is how often the drain looks at the connections.
	drainTick = 20 * time.Millisecond
	// hurryTime before its end the drain no longer waits for pipelined
	// requests.
	hurryTime = 2 * time.Second
	// metricsDrain bounds the end of the metrics port, which is last.
	metricsDrain = 2 * time.Second
	// resourcesTimeout bounds Options.CloseResources.
	resourcesTimeout = 10 * time.Second
)

// Shutdown stops the server without losing a request, by the sequence of
// DD-007: readiness answers 503 from now on, the server goes on as ever for the
// propagation delay, drains, and closes the external resources, the metrics
// port last. It returns nil, or an error that wraps ErrDrainTimeout.
//
// Calls after the first wait for the same sequence and return its result; the
// end of ctx ends their wait, not the sequence.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drainOnce.Do(func() {
		go func() {
			defer close(s.drained)
			s.drainErr = s.stop()
		}()
	})
	select {
	case <-s.drained:
		return s.drainErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop is the sequence; it runs once.
func (s *Server) stop() error {
	start := time.Now()
	delay := s.opts.PropagationDelay
	s.log.Info("Initiating DD-007 Kubernetes-aware graceful shutdown",
		zap.Duration("propagation_delay", delay), zap.Duration("drain_timeout", s.opts.DrainTimeout))
	s.stopping.Store(true)
	s.api.draining.Store(true)
	flagged := now()
	s.log.Info("Shutdown flag set - readiness probe now returns 503")

	s.log.Info("Waiting for Kubernetes endpoint removal propagation", zap.Duration("delay", delay))
	time.Sleep(delay)
	s.log.Info("Endpoint removal propagation complete")

	open, inFlight := s.api.listener.count()
	s.log.Info("Draining in-flight HTTP connections", zap.Int("open_connections", open), zap.Int("in_flight_requests", inFlight))
	close(s.goodbye)
	drainBegan := time.Now()
	err := s.api.drain(s.opts.DrainTimeout, s.opts.IdleGrace, flagged)
	if err == nil {
		s.log.Info("HTTP connections drained successfully", zap.Duration("duration", time.Since(drainBegan)))
	} else {
		s.log.Error("HTTP connections drain timed out", zap.Error(err))
	}

	s.log.Info("Closing external resources (Kubernetes client)")
	s.endLife()
	s.background.Wait()
	if s.opts.CloseResources != nil {
		ctx, cancel := context.WithTimeout(context.Background(), resourcesTimeout)
		if cerr := s.opts.CloseResources(ctx); cerr != nil {
			s.log.Error("An external resource did not close", zap.Error(cerr))
		}
		cancel()
	}
	s.shutdownH.observe(time.Since(start))
	s.metricsPort.draining.Store(true)
	s.metricsPort.drain(metricsDrain, 0, now()) //nolint:errcheck // a scrape that is cut loses nothing
	s.log.Info("DD-007 Kubernetes-aware graceful shutdown complete", zap.Duration("duration", time.Since(start)))
	return err
}

// drain closes the listener when its queue is empty and waits until every
// connection has ended: those with a request by the response to it, those that
// wait for one once they have been silent for idleGrace. What is left after
// timeout is cut and reported as ErrDrainTimeout.
//
// The silence counts from flagged on, when the stop began and responses began to
// announce the end, however long a connection had been silent before: who keeps
// connections for later sends on one without looking, and what is sent as the
// connection is being closed is lost. Idle connections have at most half of the
// timeout, so that they alone don't make the drain fail.
func (f *frontend) drain(timeout, idleGrace time.Duration, flagged instant) error {
	start := time.Now()
	idleGrace = min(idleGrace, timeout/2)
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		f.listener.shut()
	}()
	defer func() {
		<-shut
		<-f.served
	}()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		silentSince := now().add(-idleGrace)
		if silentSince < flagged {
			silentSince = 0 // only notes who is idle
		}
		open := 0
		f.listener.each(func(c *conn) {
			open++
			c.wakeIfIdle(silentSince)
		})
		select {
		case <-shut:
			if open == 0 {
				return nil
			}
		default:
		}
		spent := time.Since(start)
		if spent >= timeout {
			return f.cut()
		}
		f.hurry.Store(timeout-spent <= hurryTime)
		<-tick.C
	}
}

// cut closes what is still open.
func (f *frontend) cut() error {
	open, inFlight := f.listener.count()
	if open == 0 {
		return nil
	}
	var left []*conn
	f.listener.each(func(c *conn) { left = append(left, c) })
	for _, c := range left {
		c.abort()
	}
	return fmt.Errorf("%w: cut %d connections with %d requests in flight", ErrDrainTimeout, open, inFlight)
}
