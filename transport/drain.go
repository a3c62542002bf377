package transport

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// drainTick is how often the drain looks at the connections.
	drainTick = 20 * time.Millisecond
	// hurryTime before its end the drain no longer waits for pipelined
	// requests.
	hurryTime = 2 * time.Second
	// metricsDrain bounds the end of the metrics port, which is last.
	metricsDrain = 2 * time.Second
)

// Flag has readiness answer 503 from now on, and every response announce the end of its
// connection. The server goes on as ever.
func (s *Server) Flag() {
	s.stopping.Store(true)
	s.api.draining.Store(true)
	s.flagged = now()
}

// Open returns how many connections the API port has open, and how many requests are in
// flight on it.
func (s *Server) Open() (connections, inFlight int) { return s.api.listener.count() }

// Drain ends the service of the API without losing a request: event streams say goodbye,
// the listener is closed once its queue is empty, requests end, and idle connections are
// closed. What is left after timeout is cut; the error says how much. Flag comes first.
func (s *Server) Drain(timeout time.Duration) error {
	close(s.goodbye)
	return s.api.drain(timeout, s.opts.IdleGrace, s.flagged)
}

// CloseBackground ends what the server does besides requests.
func (s *Server) CloseBackground(ctx context.Context) error {
	s.endLife()
	ended := make(chan struct{})
	go func() {
		s.background.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("background work did not end in time")
	}
}

// CloseMetrics ends the metrics port, which is last, so that a scrape finds how long the
// stop took.
func (s *Server) CloseMetrics(context.Context) error {
	s.shutdownH.observe(now().sub(s.flagged))
	s.metricsPort.draining.Store(true)
	s.metricsPort.drain(metricsDrain, 0, now()) //nolint:errcheck // a scrape that is cut loses nothing
	return nil
}

// drain closes the listener when its queue is empty and waits until every
// connection has ended: those with a request by the response to it, those that
// wait for one once they have been silent for idleGrace. What is left after
// timeout is cut.
//
// The silence counts from flagged on, when the stop began and responses began to
// announce the end, however long a connection had been silent before: who keeps
// connections for later sends on one without looking, and what is sent as the
// connection is being closed is lost. Idle connections have at most half of the
// timeout, so that they alone don't make the drain fail.
func (p *portServer) drain(timeout, idleGrace time.Duration, flagged instant) error {
	start := time.Now()
	idleGrace = min(idleGrace, timeout/2)
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		p.listener.shut()
	}()
	defer func() {
		<-shut
		<-p.served
	}()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		silentSince := now().add(-idleGrace)
		if silentSince < flagged {
			silentSince = 0 // only notes who is idle
		}
		open := 0
		p.listener.each(func(c *conn) {
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
			return p.cut()
		}
		p.hurry.Store(timeout-spent <= hurryTime)
		<-tick.C
	}
}

// cut closes what is still open.
func (p *portServer) cut() error {
	open, inFlight := p.listener.count()
	if open == 0 {
		return nil
	}
	var left []*conn
	p.listener.each(func(c *conn) { left = append(left, c) })
	for _, c := range left {
		c.abort()
	}
	return fmt.Errorf("cut %d connections with %d requests in flight", open, inFlight)
}
