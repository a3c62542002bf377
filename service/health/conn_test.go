package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// counted starts a server that counts its connections.
func counted(t *testing.T, handler http.HandlerFunc) (url string, conns *atomic.Int32) {
	t.Helper()
	conns = new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Config.ErrorLog = quiet()
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, conns
}

// checks makes n checks of url in sequence, with one Checker.
func checks(t *testing.T, o Options, url string, n int) *recorder {
	t.Helper()
	r := newRecorder()
	o.Report = r.report
	c := start(t, o)
	c.Set(testKey, httpProbe(url))
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	for i := range n {
		if err := c.CheckAllNow(ctx); err != nil {
			t.Fatalf("check %d: %v", i, err)
		}
	}
	return r
}

func TestConnectionsAreReused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		max     int // connections for 5 checks
		min     int
		idle    int
	}{
		{"empty body", func(http.ResponseWriter, *http.Request) {}, 1, 1, 0},
		{"small body", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }, 1, 1, 0},
		{"chunked body of 4 KiB", func(w http.ResponseWriter, _ *http.Request) {
			for range 4 {
				_, _ = w.Write(make([]byte, 1<<10))
				w.(http.Flusher).Flush()
			}
		}, 1, 1, 0},
		{"larger body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody+1)) }, 5, 5, 0},
		{"larger body of known length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(maxBody+1))
			_, _ = w.Write(make([]byte, maxBody+1))
		}, 5, 5, 0},
		{"closed by the server", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, 5, 5, 0},
		{"none may be kept", func(http.ResponseWriter, *http.Request) {}, 5, 5, -1},
		// The next attempt may reach another pod.
		{"bad answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 15, 15, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, conns := counted(t, tt.handler)
			o := fast(newRecorder())
			r := newRecorder()
			o.Report = r.report
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			if tt.idle < 0 {
				c.opts.MaxIdleConns = 0
			}
			run(t, c)
			c.Set(testKey, httpProbe(url))
			for range 5 {
				if err := c.CheckAllNow(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := int(conns.Load()); n < tt.min || n > tt.max {
				t.Errorf("%d connections for %d checks, want %d to %d", n, r.count(), tt.min, tt.max)
			}
		})
	}
}

func TestAClosedKeptConnectionIsNoFailure(t *testing.T) {
	l := listen(t)
	var conns atomic.Int32
	serve(t, l, func(c net.Conn) { // answers once per connection, and closes it without saying so
		conns.Add(1)
		if readRequest(c) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	o := fast(newRecorder())
	o.Attempts = 1
	r := checks(t, o, "http://"+l.Addr().String(), 3)
	if h := r.of(testKey); !h.Healthy || h.History[0].Attempts != 1 || len(h.History) < 3 {
		t.Errorf("%+v", h)
	}
	for _, past := range r.of(testKey).History {
		if !past.Healthy {
			t.Errorf("%+v", past)
		}
	}
}

func TestOldConnectionsAreReplaced(t *testing.T) {
	url, conns := counted(t, func(http.ResponseWriter, *http.Request) {})
	o, err := fast(newRecorder()).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	caller, target := newCaller(&o), compile(httpProbe(url))
	first := caller.call(t.Context(), target, nil)
	second := caller.call(t.Context(), target, first.kept)
	if conns.Load() != 1 || second.kept == nil {
		t.Fatalf("%d connections, want 1: %+v", conns.Load(), second)
	}
	second.kept.Born = second.kept.Born.Add(-maxConnAge)
	third := caller.call(t.Context(), target, second.kept)
	if !third.healthy || third.kept != nil {
		t.Errorf("a connection older than %v was kept: %+v", maxConnAge, third)
	}
}

func TestRemoveClosesTheKeptConnection(t *testing.T) {
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	r := newRecorder()
	c := start(t, fast(r))
	for _, end := range []func(){
		func() { c.Set(testKey, httpProbe(server.URL+"/other")) },
		func() { c.Remove(testKey) },
	} {
		c.Set(testKey, httpProbe(server.URL))
		if err := c.CheckAllNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		end()
		select {
		case <-closed:
		case <-time.After(testenv.Patience):
			t.Fatal("the connection is still open")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != 0 {
		t.Errorf("%d connections are counted as kept", c.kept)
	}
}

func TestHangingServersTimeOut(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handle  func(net.Conn)
		healthy bool
	}{
		{"accepts only", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, false},
		{"slow headers", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for range 2000 {
				if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, false},
		// The status line has decided the check.
		{"slow body", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}, true},
		{"endless body", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t)
			serve(t, l, tt.handle)
			o := fast(newRecorder())
			o.Timeout = 300 * time.Millisecond
			began := testenv.Start()
			h := check(t, o, httpProbe("http://"+l.Addr().String()+"/x"))
			began.Within(t, 5*time.Second, "the check ends")
			if h.Healthy != tt.healthy {
				t.Errorf("%+v", h)
			}
			if want := "no answer within 300 ms (3 attempts)"; !tt.healthy && h.Reason != want {
				t.Errorf("reason %q, want %q", h.Reason, want)
			}
		})
	}
}

func TestAHugeBodyIsNotRead(t *testing.T) {
	l := listen(t)
	sent := make(chan int64, 1)
	serve(t, l, func(c net.Conn) {
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		n := int64(0)
		for n < 1_000_000_000 {
			m, err := c.Write(make([]byte, 1<<20))
			n += int64(m)
			if err != nil {
				break
			}
		}
		sent <- n
	})
	if h := check(t, fast(newRecorder()), httpProbe("http://"+l.Addr().String())); !h.Healthy {
		t.Errorf("%+v", h)
	}
	// What was sent but not read is in the sockets' buffers.
	if n := <-sent; n > 100<<20 {
		t.Errorf("the server could send %d bytes", n)
	}
}

func TestAttemptsAreCountedAndSpaced(t *testing.T) {
	var mu sync.Mutex
	var times []time.Time
	var n atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		times = append(times, time.Now())
		mu.Unlock()
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	o := fast(newRecorder())
	o.Backoff = 40 * time.Millisecond
	var ok atomic.Bool
	var took atomic.Int64
	o.OnCheck = func(key service.Key, healthy bool, d time.Duration) {
		ok.Store(healthy && key == testKey)
		took.Store(int64(d))
	}
	h := check(t, o, httpProbe(server.URL+"/h"))
	if !h.Healthy || h.History[0].Attempts != 3 || n.Load() != 3 || !strings.Contains(h.Reason, "(3 attempts)") {
		t.Errorf("%+v, %d requests", h, n.Load())
	}
	mu.Lock()
	defer mu.Unlock()
	if first, second := times[1].Sub(times[0]), times[2].Sub(times[1]); first < 30*time.Millisecond || second < 60*time.Millisecond {
		t.Errorf("pauses %v, %v; want at least 30 ms and 60 ms", first, second)
	}
	if !ok.Load() || time.Duration(took.Load()) < 90*time.Millisecond {
		t.Errorf("OnCheck: %v, %v", ok.Load(), time.Duration(took.Load()))
	}
}

func TestManyRealEndpoints(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		now.Add(-1)
	}))
	defer server.Close()
	r := newRecorder()
	o := fast(r)
	o.Concurrency = 8
	c := start(t, o)
	for i := range 300 {
		c.Set(service.Key{Name: fmt.Sprint(i)}, httpProbe(server.URL))
	}
	if err := c.CheckAllNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, h := range r.last {
		if !h.Healthy {
			t.Errorf("%s: %+v", key, h)
		}
	}
	if len(r.last) != 300 || most.Load() > 8 {
		t.Errorf("%d endpoints checked, at most %d at once; want 300 and 8", len(r.last), most.Load())
	}
}
