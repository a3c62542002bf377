package load

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// patience bounds every wait of a test. It never has to pass for a test to succeed.
const patience = testenv.Patience

// A server works on raw sockets, so that it can misbehave in every way.
type server struct {
	address  string
	accepted atomic.Int64
	requests atomic.Int64 // that arrived with header and body
	open     atomic.Int64 // connections that are not closed on both sides

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool
	ended bool
}

// A serverConn is a connection that a server has accepted.
type serverConn struct {
	*net.TCPConn
	r *bufio.Reader
	s *server
	n int64 // 1 for the first connection
}

// startServer calls handle for each connection, and closes this when handle returns.
func startServer(t testing.TB, handle func(c *serverConn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String(), conns: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !s.track(conn) {
				continue
			}
			n := s.accepted.Add(1)
			s.open.Add(1)
			s.wg.Go(func() {
				defer s.open.Add(-1)
				defer conn.Close()
				handle(&serverConn{conn.(*net.TCPConn), bufio.NewReader(conn), s, n})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.closeAll()
		s.wg.Wait()
	})
	return s
}

func (s *server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		c.Close()
		return false
	}
	s.conns[c] = true
	return true
}

// waitClosed waits until the client has closed all connections.
func (s *server) waitClosed(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); s.open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are still open", s.open.Load())
		}
	}
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for c := range s.conns {
		c.Close()
	}
}

// request reads a request; it returns false if there is no further one.
func (c *serverConn) request() (*http.Request, []byte, bool) {
	req, err := http.ReadRequest(c.r)
	if err != nil {
		return nil, nil, false
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, nil, false
	}
	c.s.requests.Add(1)
	return req, body, true
}

func (c *serverConn) say(text string) { _, _ = io.WriteString(c, text) } // the client may be gone

// reset closes the connection with an RST.
func (c *serverConn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// hold waits until the client closes, or the test ends.
func (c *serverConn) hold() { _, _ = io.Copy(io.Discard, c.r) }

const good = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX-Pod: a\r\n\r\n{}"

// behave answers all requests as it should.
func behave(c *serverConn) {
	for {
		req, _, ok := c.request()
		if !ok {
			return
		}
		c.say(good)
		if req.Close {
			return
		}
	}
}

// config returns a load of one class at the address.
func config(address string, class record.Class, rate float64) Config {
	c := Config{
		Address: address, PodHeader: "X-Pod", DialTimeout: patience, ResponseTimeout: patience,
		Clients: []Client{{Class: class, Rate: rate}},
		Targets: []Target{{Path: "/", Classes: []record.Class{class}}},
	}
	switch class {
	case record.Pooled, record.Blind:
		c.Clients[0].Connections = 1
	case record.Slow:
		c.Targets[0].Path = "/?for={duration}"
		c.Clients[0].Duration = shortest
	case record.Stream:
		c.Clients[0].Connections, c.Clients[0].Rate = 1, 0
	}
	return c
}

// runUntil runs the load until enough returns true for a request, or the test's
// patience ends. It returns all requests.
func runUntil(t testing.TB, c Config, enough func(r *record.Request, n int) bool) ([]record.Request, Summary) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all []record.Request
	done := false
	summary, err := Run(ctx, c, func(r record.Request) {
		all = append(all, r)
		if enough(&r, len(all)) {
			done = true
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !done {
		t.Fatalf("after %v, not enough in %d requests, the last: %+v", patience, len(all), all[max(0, len(all)-1):])
	}
	sent := 0
	for _, client := range summary.Clients {
		sent += client.Sent
	}
	if sent != len(all) {
		t.Errorf("the summary says %d requests were sent, %d were emitted", sent, len(all))
	}
	return all, summary
}

// first runs the load until n requests have ended, and returns the first n.
func first(t testing.TB, c Config, n int) []record.Request {
	t.Helper()
	all, _ := runUntil(t, c, func(_ *record.Request, i int) bool { return i == n })
	return all[:n]
}

func failingDial(err error) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
}
