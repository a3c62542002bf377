package transport_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// keptServing asks for lookups on connections of its own, kept and new, until
// stopped, and fails when one is not answered.
func (f *fixture) keptServing(t *testing.T) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	asked := 0
	wg.Go(func() {
		kept := f.dial()
		for i := 0; ; i++ {
			select {
			case <-done:
				asked = i
				return
			default:
			}
			kept.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
			c := kept
			if i%5 == 0 {
				c = f.dial()
			}
			if _, err := io.WriteString(c.Conn, getList); err != nil {
				t.Errorf("lookup %d: %v", i, err)
				return
			}
			if got, _, err := c.readAnswers(nil, 1, false); err != nil || got[0].status != 200 {
				t.Errorf("lookup %d: %v %v", i, got, err)
				return
			}
			if c != kept {
				c.Close() //nolint:errcheck // it was answered
			}
		}
	})
	return func() {
		t.Helper()
		close(done)
		wg.Wait()
		if asked == 0 && !t.Failed() {
			t.Error("no lookup was made meanwhile: the test shows nothing")
		}
	}
}

// Who sends slower than a request may take is told so, wherever in the request
// it happens; others are served meanwhile.
func TestSlowSenders(t *testing.T) {
	f := start(t, func(o *options) {
		o.Limits.ReadTimeout, o.Limits.IdleTimeout = 400*time.Millisecond, patience
	})
	stop := f.keptServing(t)
	var wg sync.WaitGroup
	for _, c := range []struct {
		name, first, then string
		want              []int
	}{
		{"a request line", "", "GET /health?x=" + strings.Repeat("a", 1000), []int{408}},
		{"header fields", "GET /health HTTP/1.1\r\nHost: x\r\n", strings.Repeat("X-A: b\r\n", 500), []int{408}},
		{"empty lines", "", strings.Repeat("\r\n", 500), nil}, // no request has begun: the end is silent
		{"a body", post("Content-Length: 1000\r\n", ""), strings.Repeat(" ", 999), []int{408}},
		{"chunks", post("Transfer-Encoding: chunked\r\n", ""), strings.Repeat("1\r\n \r\n", 500), []int{408}},
		{"a chunk", post("Transfer-Encoding: chunked\r\n", "1000\r\n"), strings.Repeat(" ", 1000), []int{408}},
		{"a chunk extension", post("Transfer-Encoding: chunked\r\n", "1;"), strings.Repeat("a", 1000), []int{408}},
		{"trailers", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n"), strings.Repeat("X-A: b\r\n", 500), []int{408}},
		{"a body that was waited for", post("Expect: 100-continue\r\nContent-Length: 1000\r\n", ""), strings.Repeat(" ", 999), []int{408}},
		{"a second request", getReady, strings.Repeat("GET ", 500), []int{200, 408}},
		{"a body and no more", post("Content-Length: 1000\r\n", "{"), "", []int{408}},
	} {
		conn := f.dial()
		conn.write(c.first)
		halt := make(chan struct{})
		wg.Go(func() {
			for _, b := range []byte(c.then) {
				select {
				case <-halt:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
			}
		})
		wg.Go(func() {
			defer close(halt)
			limit := len(c.want)
			if limit == 0 {
				limit = -1
			}
			got, _, err := conn.readAnswers(nil, limit, false)
			if err != nil || len(got) != len(c.want) {
				t.Errorf("%s: %v; responses: %v", c.name, err, got)
				return
			}
			for i, a := range got {
				if err := a.check(); err != nil || a.status != c.want[i] {
					t.Errorf("%s: want %d, %v: %s", c.name, c.want[i], err, a)
				}
			}
			if len(got) > 0 && !got[len(got)-1].closes() {
				t.Errorf("%s: the connection is kept: %v", c.name, got)
			}
		})
	}
	wg.Wait()
	stop()
}

// A client that asks for much and reads nothing is given up; others are served
// meanwhile.
func TestSlowReaders(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.WriteTimeout = 300 * time.Millisecond })
	var many []*corev1.Service
	for i := range 500 {
		many = append(many, svc("team", fmt.Sprintf("backend-%04d", i), "custom"))
	}
	f.catalogue.Replace(many)
	f.catalogue.Build()
	stop := f.keptServing(t)
	var conns []*rawClient
	for range 20 {
		c := f.dial()
		c.Conn.(*net.TCPConn).SetReadBuffer(4096) //nolint:errcheck // a larger one only takes longer
		c.write(strings.Repeat(getList, 200))     // some 30 MB of answers
		conns = append(conns, c)
	}
	// The server closes: the client finds that out without having read.
	for deadline := time.Now().Add(6 * patience); f.gauge("toolset_open_connections") > 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v connections are still open", f.gauge("toolset_open_connections"))
		}
	}
	stop()
	for _, c := range conns {
		c.Close() //nolint:errcheck // the end of the test
	}
}

// gauge returns a series of the metrics port.
func (f *fixture) gauge(name string) (value float64) {
	f.t.Helper()
	r, err := send("http://"+f.server.MetricsAddr(), "GET", "/metrics", "")
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(r.body)) {
		if series, rest, _ := strings.Cut(line, " "); series == name || strings.HasPrefix(series, name+`{port="api"`) {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				f.t.Fatal(err)
			}
			return value
		}
	}
	f.t.Fatalf("no metric %s:\n%s", name, r.body)
	return 0
}

// A thousand connections that do nothing, or have begun a request, are no
// trouble to others, and each is answered when it asks.
func TestThousandIdleConnections(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.ReadTimeout, o.Limits.IdleTimeout = time.Minute, time.Minute })
	const n = 1000
	conns := make([]*rawClient, n)
	for i := range conns {
		conns[i] = f.dial()
		switch i % 3 {
		case 1:
			conns[i].write("GET /api/v1/tool")
		case 2:
			conns[i].write(getReady)
		}
	}
	f.inFlightAtLeast(n / 3)
	stop := f.keptServing(t)
	time.Sleep(300 * time.Millisecond)
	stop()
	for i, c := range conns {
		id := fmt.Sprintf("canary-%d", i)
		rest := "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + id + "\r\n\r\n"
		want := 1
		switch i % 3 {
		case 1:
			rest = strings.TrimPrefix(rest, "GET /api/v1/tool")
		case 2:
			want = 2
		}
		c.SetDeadline(time.Now().Add(6 * patience)) //nolint:errcheck // the read tells
		c.write(rest)
		got, _, err := c.readAnswers(nil, want, false)
		if err != nil {
			t.Fatalf("connection %d: %v %v", i, got, err)
		}
		if last := got[want-1]; last.status != 200 || last.id() != id || last.check() != nil {
			t.Fatalf("connection %d: %s", i, last)
		}
	}
}

func (f *fixture) inFlightAtLeast(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(6 * patience); f.gauge("toolset_in_flight_requests") < float64(n); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%v requests in flight, want %d", f.gauge("toolset_in_flight_requests"), n)
		}
	}
}

// What is sent on a connection over the limit is answered 503, whatever it is,
// or the connection ends without a word; never by anything else.
func TestHostileOverTheConnectionLimit(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxConnections = 1 })
	c := f.dial()
	c.write(getReady)
	c.read()
	var answered int
	for _, h := range hostiles() {
		if len(h.send) > 4000 {
			continue
		}
		over, err := net.Dial("tcp", f.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		over.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
		io.WriteString(over, h.send)               //nolint:errcheck // it may be closed by now
		over.(*net.TCPConn).CloseWrite()           //nolint:errcheck
		got, _, err := (&rawClient{t: t, Conn: over}).readAnswers(nil, -1, h.head)
		over.Close() //nolint:errcheck // it was read to its end
		if err != nil && !isReset(err) || len(got) > 1 {
			t.Errorf("%s: %v %v", h.name, got, err)
			continue
		}
		for _, a := range got {
			answered++
			if err := a.check(); err != nil || a.status != 503 || !a.closes() || a.field("retry-after") == "" {
				t.Errorf("%s: %v: %s", h.name, err, a)
			}
		}
	}
	if answered < 200 {
		t.Errorf("only %d were answered", answered)
	}
	c.write(getList)
	if r := c.read(); r.StatusCode != 200 {
		t.Errorf("the connection within the limit: %s", r)
	}
}
