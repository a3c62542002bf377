package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const body = "a body of some bytes\n"

var exchange = Exchange{Request: []byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), Status: 200, Body: []byte(body)}

// options returns the options for a short window.
func options(addr string) Options {
	return Options{Addr: addr, Exchange: exchange, Connections: 4, Window: 200 * time.Millisecond, Lead: 20 * time.Millisecond, Patience: 300 * time.Millisecond}
}

// served starts a server of net/http.
func served(t *testing.T, h http.HandlerFunc) (*httptest.Server, string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s, s.Listener.Addr().String()
}

// scripted starts a server that calls serve for each connection and then closes it.
func scripted(t *testing.T, serve func(conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer stop()
				defer conn.Close() //nolint:errcheck // a test's server
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// request reads the head of a request and reports whether there was one.
func request(r *bufio.Reader) bool {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if len(line) == 2 {
			return true
		}
	}
}

func TestClosedLoopCountsWhatIsAnswered(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"kept":      func(*Options) {},
		"spinning":  func(o *Options) { o.Spin = true },
		"pipelined": func(o *Options) { o.Pipelined = 16 },
		"new": func(o *Options) {
			o.NewConnections = true
			o.Exchange.Request = []byte("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var answered, opened, inWindow, openedInWindow atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				answered.Add(1)
				_, _ = io.WriteString(w, body)
			}))
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			s.Start()
			defer s.Close()
			o := options(s.Listener.Addr().String())
			o.CPU = func() (time.Duration, error) {
				n := answered.Load() // only once, as it changes all the time
				inWindow.Store(n - inWindow.Load())
				openedInWindow.Store(opened.Load() - openedInWindow.Load())
				return time.Duration(n), nil
			}
			change(&o)
			r, err := Closed(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Failed != 0 || r.Requests == 0 || r.Seconds < o.Window.Seconds() {
				t.Fatalf("%+v", r)
			}
			// Server and client may differ by the requests that were under way when the
			// window began or ended.
			underWay := int64(2 * o.Connections * max(1, o.Pipelined))
			if d := inWindow.Load() - int64(r.Requests); d < -underWay || d > underWay {
				t.Errorf("%d answered, %d counted", inWindow.Load(), r.Requests)
			}
			if r.CPU != time.Duration(inWindow.Load()) {
				t.Errorf("the server used %d in the window, reported are %d", inWindow.Load(), r.CPU)
			}
			if d := openedInWindow.Load() - int64(r.Requests); o.NewConnections && (d < -underWay || d > underWay) {
				t.Errorf("%d connections, %d requests", openedInWindow.Load(), r.Requests)
			}
			if !o.NewConnections && opened.Load() != int64(o.Connections) {
				t.Errorf("%d connections", opened.Load())
			}
		})
	}
}

// Any answer other than the expected one is a failure, and the window still ends.
func TestWrongAnswersAreFailures(t *testing.T) {
	right := "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"
	for _, tc := range []struct{ name, answer, says string }{
		{"status", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 21\r\n\r\n" + body, "status 503, not 200"},
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "a body of 3 bytes, not 21"},
		{"body", right + "a body of some bites\n", `another body from byte 16 on: "ites\n", not "ytes\n"`},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n" + body + "\r\n0\r\n\r\n", "in chunks"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n" + body, "no Content-Length"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 21\r\nContent-Length: 22\r\n\r\n" + body, "bad Content-Length"},
		{"old", "HTTP/1.0 200 OK\r\nContent-Length: 21\r\n\r\n" + body, "does not begin with HTTP/1.1"},
		{"garbage", "SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not begin with HTTP/1.1"},
		{"endless head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHead), "longer than"},
		{"cut short", right + body[:5], "closed the connection before"},
		{"nothing", "", "closed the connection before"},
		{"one too many", right + body + right + body, "nothing was asked for"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := scripted(t, func(conn net.Conn, r *bufio.Reader) {
				if request(r) {
					_, _ = io.WriteString(conn, tc.answer)
				}
			})
			r, err := Closed(t.Context(), options(addr))
			if err != nil || r.Failed == 0 || !strings.Contains(r.Failure, tc.says) {
				t.Errorf("%+v, %v; want a failure that says %q", r, err, tc.says)
			}
			l, err := Open(t.Context(), options(addr), Schedule{Rate: 1000, Seed: 1})
			if err != nil || l.Failed == 0 || !strings.Contains(l.Failure, tc.says) {
				t.Errorf("%+v, %v; want a failure that says %q", l, err, tc.says)
			}
		})
	}
}

func TestNoAnswerIsAFailure(t *testing.T) {
	addr := scripted(t, func(_ net.Conn, r *bufio.Reader) {
		for request(r) { // never answer
		}
	})
	r, err := Closed(t.Context(), options(addr))
	if err != nil || r.Failed != 4 || r.Requests != 4 || !strings.Contains(r.Failure, "not answered") {
		t.Errorf("%+v, %v; want 4 failures", r, err)
	}
	// If one of four connections hangs, the others go on, and its request has failed.
	var n atomic.Int64
	addr = scripted(t, func(conn net.Conn, r *bufio.Reader) {
		hangs := n.Add(1) == 1
		for request(r) {
			if !hangs {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n"+body)
			}
		}
	})
	r, err = Closed(t.Context(), options(addr))
	if err != nil || r.Failed != 1 || r.Requests < 10 {
		t.Errorf("%+v, %v; want 1 failure", r, err)
	}
}

func TestNoServerIsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r, err := Closed(t.Context(), options(l.Addr().String()))
	if err != nil || r.Failed < 4 || r.Requests != r.Failed || !strings.Contains(r.Failure, "connection refused") {
		t.Errorf("%+v, %v", r, err)
	}
}

// The incomplete answer of a lost connection does not affect the connection that replaces it.
func TestALostConnectionIsForgotten(t *testing.T) {
	right := "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n" + body
	for _, cut := range []int{10, len(right) - 5} {
		var n atomic.Int64
		addr := scripted(t, func(conn net.Conn, r *bufio.Reader) {
			first := n.Add(1) <= 4
			for request(r) {
				if first {
					_, _ = io.WriteString(conn, right[:cut])
					return
				}
				_, _ = io.WriteString(conn, right)
			}
		})
		r, err := Closed(t.Context(), options(addr))
		if err != nil || r.Failed != 4 || r.Requests < 20 {
			t.Errorf("cut after %d bytes: %+v, %v; want 4 failures", cut, r, err)
		}
	}
}

// A server may close a connection that it has announced to close, but no other: a request
// may be under way on it.
func TestClosedConnectionsAreReplaced(t *testing.T) {
	for _, tc := range []struct {
		says   string
		failed bool
	}{{"Connection: close\r\n", false}, {"", true}} {
		addr := scripted(t, func(conn net.Conn, r *bufio.Reader) {
			for i := range 3 {
				last := ""
				if i == 2 {
					last = tc.says
				}
				if !request(r) {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\ncontent-LENGTH:21\r\n"+last+"\r\n"+body)
			}
		})
		r, err := Closed(t.Context(), options(addr))
		if err != nil || (r.Failed > 0) != tc.failed || r.Requests-r.Failed < 24 || r.Reconnects == 0 && !tc.failed {
			t.Errorf("%q: %+v, %v", tc.says, r, err)
		}
	}
}

func TestNothingIsAllocatedForARequest(t *testing.T) {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n" + body)
	addr := scripted(t, func(conn net.Conn, r *bufio.Reader) {
		for request(r) {
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	var before, after runtime.MemStats
	o := options(addr)
	o.CPU = func() (time.Duration, error) {
		before = after
		runtime.ReadMemStats(&after)
		return 0, nil
	}
	r, err := Closed(t.Context(), o)
	if n := after.Mallocs - before.Mallocs; err != nil || r.Failed > 0 || r.Requests < 100 || n > uint64(r.Requests/100) {
		t.Errorf("%d allocations, %+v, %v", n, r, err)
	}
	l, err := Open(t.Context(), o, Schedule{Rate: 5000, Seed: 1, Grace: time.Second})
	if n := after.Mallocs - before.Mallocs; err != nil || l.Failed > 0 || l.Answered < 100 || n > uint64(l.Answered/100) {
		t.Errorf("%d allocations, %+v, %v", n, l, err)
	}
}

func TestIdleConnectionsAreHeld(t *testing.T) {
	var open atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	s.Start()
	defer s.Close()
	o := options(s.Listener.Addr().String())
	o.Connections, o.Window = 250, 10*time.Second
	h, err := Hold(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if lost, err := h.Lost(); lost != 0 || err != nil || open.Load() != 250 {
		t.Errorf("%d open, %d lost, %v", open.Load(), lost, err)
	}
	s.CloseClientConnections()
	if lost, err := h.Lost(); lost == 0 || err != nil {
		t.Errorf("none is lost, %v", err)
	}
	o.Exchange.Status = 404
	if _, err := Hold(t.Context(), o); err == nil || !strings.Contains(err.Error(), "status 200, not 404") {
		t.Errorf("%v", err)
	}
}

func TestTheContextEndsAWindow(t *testing.T) {
	_, addr := served(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	o := options(addr)
	o.Window = time.Hour
	for _, o.Spin = range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := Closed(ctx, o)
		_, errOpen := Open(ctx, o, Schedule{Rate: 10})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(errOpen, context.DeadlineExceeded) {
			t.Errorf("%v, %v", err, errOpen)
		}
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"address":     func(o *Options) { o.Addr = "localhost:80" },
		"IPv6":        func(o *Options) { o.Addr = "[::1]:80" },
		"connections": func(o *Options) { o.Connections = 0 },
		"window":      func(o *Options) { o.Window = 0 },
		"pipelined":   func(o *Options) { o.Pipelined, o.NewConnections = 16, true },
		"request":     func(o *Options) { o.Exchange.Request = nil },
	} {
		o := options("127.0.0.1:1")
		change(&o)
		if _, err := Closed(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := options("127.0.0.1:1")
	o.Pipelined = 2
	if _, err := Open(t.Context(), o, Schedule{Rate: 1000}); err == nil {
		t.Error("a pipelined open loop: no error")
	}
	if err := AllowFiles(1 << 40); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("%v", err)
	}
}
