package transport

import (
	"context"
	"time"
)

// metricsDrain bounds the end of the metrics port, which is last.
const metricsDrain = 2 * time.Second

// Flag has readiness answer 503 from now on, and every response announce the end of its
// connection. The server goes on as ever.
func (s *Server) Flag() {
	s.api.Stop()
	s.apiPort.chain.Drain()
	s.flagged = time.Now()
}

// Open returns how many connections the API port has open, and how many requests are in
// flight on it.
func (s *Server) Open() (connections, inFlight int) { return s.apiPort.listener.Count() }

// Drain ends the service of the API without losing a request: event streams say goodbye,
// the listener is closed once its queue is empty, requests end, and idle connections are
// closed. What is left after timeout is cut; the error says how much. Flag comes first.
func (s *Server) Drain(timeout time.Duration) error {
	s.api.EndStreams()
	return s.apiPort.drain(timeout, s.opts.IdleGrace, s.flagged)
}

// CloseBackground ends what the server does besides requests.
func (s *Server) CloseBackground(context.Context) error {
	s.endLife()
	s.background.Wait()
	return nil
}

// CloseMetrics ends the metrics port, which is last, so that a scrape finds how long the
// stop took.
func (s *Server) CloseMetrics(context.Context) error {
	s.shutdownH.Observe(time.Since(s.flagged))
	s.metricsPort.chain.Drain()
	s.metricsPort.drain(metricsDrain, 0, time.Now()) //nolint:errcheck // a scrape that is cut loses nothing
	return nil
}
