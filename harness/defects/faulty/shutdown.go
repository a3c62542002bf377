package main

import (
	"fmt"
	"time"
)

const (
	// drainTick is how often the drain checks the connections.
	drainTick = 20 * time.Millisecond
	// longSilence is how long a connection that was never told to close must have been
	// without a request, counted from SIGTERM at the earliest, before it is closed.
	longSilence = 2500 * time.Millisecond
)

// stop runs the shutdown, and returns the exit code.
func (s *server) stop() int {
	switch s.opts.shutdown {
	case naive:
		s.listener.close()
		return exitOK
	case readinessOnly:
		s.flagAndWait(func() { s.notReady.Store(true) })
		return exitOK
	}
	return s.stopInFull()
}

// stopInFull runs the sequence of DD-007, with its planted deviations.
func (s *server) stopInFull() int {
	begin := time.Now()
	s.flagAndWait(func() {
		s.notReady.Store(s.opts.neverReady || s.opts.defect != readinessStays200)
		s.notAlive.Store(s.opts.defect == livenessFails)
		s.unavailable.Store(s.opts.defect == unavailableInDrain)
		s.parting.Store(s.opts.defect != closesIdleConnections)
		if s.opts.defect == resetsAcceptQueue {
			s.listener.enter(paused)
		}
	})

	open, inFlight := s.count()
	s.log.Info("Draining in-flight HTTP connections", "open_connections", open, "in_flight_requests", inFlight)
	s.parting.Store(true)
	close(s.goodbye)
	err := s.drain(begin)
	if s.opts.defect == drainExceedsGrace {
		select {} // not a deadlock to the runtime, as it waits for signals, too
	}
	if err != nil {
		s.log.Error("HTTP connections drain timed out", "error", err.Error())
	} else {
		s.log.Info("HTTP connections drained successfully", "duration", time.Since(begin).String())
	}
	s.log.Info("Closing external resources (Kubernetes client)")
	s.log.Info("DD-007 Kubernetes-aware graceful shutdown complete", "duration", time.Since(begin).String())
	if err != nil || s.opts.defect == exitCode1 {
		return exitFailed
	}
	return exitOK
}

// flagAndWait calls flag and waits for the propagation delay.
func (s *server) flagAndWait(flag func()) {
	delay := s.opts.propagationDelay
	if s.opts.defect == noPropagationWait {
		delay = 0
	}
	s.log.Info("Initiating DD-007 Kubernetes-aware graceful shutdown",
		"propagation_delay", delay.String(), "drain_timeout", s.opts.drainTimeout.String())
	flag()
	s.log.Info("Shutdown flag set - readiness probe now returns 503")
	s.log.Info("Waiting for Kubernetes endpoint removal propagation", "delay", delay.String())
	time.Sleep(delay)
	s.log.Info("Endpoint removal propagation complete")
}

// drain closes the listener and waits until every connection has ended: after the
// response to its request, or after a long silence. After the drain timeout it cuts the
// others, and returns an error with their number. stopped is the time of SIGTERM.
func (s *server) drain(stopped time.Time) error {
	begin := time.Now()
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		if s.opts.defect == resetsAcceptQueue {
			s.listener.close()
			return
		}
		s.listener.shut(s.log)
	}()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for closed := false; ; <-tick.C {
		if !closed && isClosed(shut) {
			closed = true
			if s.opts.defect == abandonsInFlight {
				s.each(func(c *conn) { c.abort(active) })
			}
		}
		open := s.each(func(c *conn) {
			if s.opts.defect == closesIdleConnections {
				c.abortIdle()
			}
			if now := time.Now(); now.Sub(stopped) > longSilence {
				c.wakeIfSilent(now.Add(-longSilence))
			}
		})
		if closed && open == 0 {
			return nil
		}
		if time.Since(begin) > s.opts.drainTimeout {
			_, inFlight := s.count()
			s.each(func(c *conn) {
				for p := waiting; p <= leaving; p++ {
					c.abort(p)
				}
			})
			return fmt.Errorf("cut %d connections with %d requests in flight", open, inFlight)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
