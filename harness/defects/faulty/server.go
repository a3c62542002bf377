package main

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConnections bounds the open connections; more are closed without a response.
	maxConnections = 10000
	// maxSlow bounds /slow?for=.
	maxSlow = 10 * time.Minute
)

// A server has the listener, the open connections, and the switches that the shutdown
// sets.
type server struct {
	opts     options
	log      *slog.Logger
	listener *listener
	maxSlow  time.Duration

	notReady    atomic.Bool   // readiness answers 503
	notAlive    atomic.Bool   // liveness answers 503
	unavailable atomic.Bool   // ordinary requests get 503
	parting     atomic.Bool   // responses say Connection: close
	goodbye     chan struct{} // closed when event streams must end

	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newServer(o options, log *slog.Logger) *server {
	s := &server{opts: o, log: log, maxSlow: maxSlow, goodbye: make(chan struct{}), conns: make(map[*conn]struct{})}
	s.notReady.Store(o.neverReady)
	return s
}

// open listens, and starts to serve until the listener is paused or shut.
func (s *server) open() error {
	l, err := listen(s.opts.listen)
	if err != nil {
		return err
	}
	s.listener = l
	go l.accept(s.log, s.admit)
	return nil
}

func (s *server) admit(tcp net.Conn) {
	c := newConn(tcp, s)
	s.mu.Lock()
	full := len(s.conns) >= maxConnections
	if !full {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		s.log.Warn("Too many connections; one was closed unserved", "limit", maxConnections)
		tcp.Close() //nolint:errcheck // it was never served
		return
	}
	go func() {
		defer s.forget(c)
		c.serve()
	}()
}

func (s *server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// each calls f for every open connection, and returns their number. f must not block.
func (s *server) each(f func(*conn)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		f(c)
	}
	return len(s.conns)
}

// count returns the number of open connections, and of those with a request in flight.
func (s *server) count() (open, inFlight int) {
	open = s.each(func(c *conn) {
		if c.in(active) {
			inFlight++
		}
	})
	return open, inFlight
}
