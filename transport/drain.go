package transport

import (
	"context"
	"time"
)

// metricsDrain bounds the drain of the metrics port.
const metricsDrain = 2 * time.Second

// Flag makes readiness answer 503 from now on, and every response announce that its
// connection will be closed. The server goes on serving.
func (s *Server) Flag() {
	s.api.Stop()
	s.apiPort.chain.AnnounceClose()
	s.flagged = time.Now()
}

// Open returns the numbers of open connections and of requests in flight on the API port.
func (s *Server) Open() (connections, inFlight int) { return s.apiPort.listener.Count() }

// Drain ends the API port without losing a request: event streams say goodbye, the
// listener is closed once its queue is empty, requests in flight are answered, and idle
// connections are closed. What is left after timeout is cut off; the error says how much
// that was. Flag must be called before.
func (s *Server) Drain(timeout time.Duration) error {
	s.api.EndStreams()
	return s.apiPort.drain(timeout, s.opts.IdleGrace, s.flagged)
}

// CloseBackground ends what the server does besides answering requests.
func (s *Server) CloseBackground(context.Context) error {
	s.endLife()
	s.background.Wait()
	return nil
}

// CloseMetrics closes the metrics port. That comes last, so that a scrape can still read
// how long the shutdown took.
func (s *Server) CloseMetrics(context.Context) error {
	s.shutdownH.Observe(time.Since(s.flagged))
	s.metricsPort.chain.AnnounceClose()
	s.metricsPort.drain(metricsDrain, 0, time.Now()) //nolint:errcheck // a scrape that is cut loses nothing
	return nil
}
