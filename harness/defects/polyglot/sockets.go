package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// sockets serves WebSocket connections, and sends each message back.
type sockets struct {
	server   *http.Server
	upgrader websocket.Upgrader
	pod      string

	mu    sync.Mutex
	conns map[*websocket.Conn]bool
	ended sync.WaitGroup
}

func newSockets(o *options) *sockets {
	s := &sockets{pod: o.pod, conns: map[*websocket.Conn]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.echo)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return s
}

func (s *sockets) echo(w http.ResponseWriter, req *http.Request) {
	c, err := s.upgrader.Upgrade(w, req, http.Header{"X-Served-By": {s.pod}})
	if err != nil {
		return // it has answered
	}
	s.track(c, true)
	defer s.track(c, false)
	c.SetReadLimit(1 << 20)
	for {
		kind, data, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, data) != nil {
			return
		}
	}
}

func (s *sockets) track(c *websocket.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.conns[c] = true
		s.ended.Add(1)
		return
	}
	delete(s.conns, c)
	_ = c.Close() // it is over
	s.ended.Done()
}

func (s *sockets) serve(l net.Listener) error {
	err := s.server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		select {} // the process ends when all is finished
	}
	return err
}

func (s *sockets) part() {}

// finish takes no more connections, closes each with 1001, and waits for the clients to
// close as well.
func (s *sockets) finish(ctx context.Context) error {
	if err := s.server.Shutdown(ctx); err != nil { // it does not wait for WebSocket connections
		return err
	}
	s.mu.Lock()
	text := websocket.FormatCloseMessage(websocket.CloseGoingAway, "the pod stops")
	for c := range s.conns {
		_ = c.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second)) // who is gone needs none
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.ended.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sockets) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.NetConn().Close() // the process ends
	}
}

func (s *sockets) leave() {}
