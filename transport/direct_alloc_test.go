package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// directLookups are requests that an event loop answers.
var directLookups = []struct{ name, target, fields string }{
	{"by name", "/api/v1/toolsets/p7", ""},
	{"by name gzip", "/api/v1/toolsets/p7", "Accept-Encoding: gzip\r\n"},
	{"by name in a namespace", "/api/v1/toolsets/p7?namespace=ns-7", ""},
	{"by type", "/api/v1/toolsets/prometheus", ""},
	{"not modified", "/api/v1/toolsets/p7", "If-None-Match: *\r\n"},
	{"filtered", "/api/v1/toolsets?namespace=ns-3&healthy=false", ""},
	{"filtered gzip", "/api/v1/toolsets?namespace=ns-3", "Accept-Encoding: gzip\r\n"},
	{"filtered not modified", "/api/v1/toolsets?type=prometheus", "If-None-Match: *\r\n"},
	{"list", "/api/v1/toolsets", ""},
	{"list gzip", "/api/v1/toolsets", "Accept-Encoding: gzip\r\n"},
	{"list not modified", "/api/v1/toolsets", "If-None-Match: *\r\n"},
}

// An event loop answers a lookup without an allocation, with a token and a rate limit, too,
// and does not give the connection to fasthttp for it.
func TestLookupsInTheEventLoopDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	for name, change := range map[string]func(*Options){
		"open":           func(*Options) {},
		"token and rate": authorizeEverything,
		"rate alone":     func(o *Options) { authorizeEverything(o); o.Auth = nil },
	} {
		s := lookupServer(t, change, withLoop)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := client.SetDeadline(time.Now().Add(10 * testenv.Patience)); err != nil {
			t.Fatal(err)
		}
		// The first request with a token is for the server, as nothing is remembered yet.
		first := fmt.Appendf(nil, "GET /api/v1/toolsets/p7 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", authorization1K)
		list := bytes.Replace(first, []byte("/p7"), nil, 1)
		for _, request := range [][]byte{first, list} {
			if answer, err := askOnce(s.Addr(), request); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) {
				t.Fatalf("%.100q, %v", answer, err)
			}
		}
		for _, l := range directLookups {
			request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\n%sAuthorization: %s\r\n\r\n", l.target, l.fields, authorization1K)
			const end = "Connection: close\r\n"
			whole, err := askOnce(s.Addr(), bytes.Replace(request, []byte("Authorization"), []byte(end+"Authorization"), 1))
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, len(whole)-len(end))
			ask := func() {
				client.Write(request) //nolint:errcheck // the read tells
				if n, err := io.ReadFull(client, buf); err != nil || n < len("HTTP/1.1 200 OK\r\n") || buf[9] != '2' && buf[9] != '3' {
					t.Fatalf("%s: %s: %q, %v", name, l.name, buf[:n], err)
				}
			}
			if n := testing.AllocsPerRun(300, ask); n != 0 {
				t.Errorf("%s: %s: %v allocations for each lookup", name, l.name, n)
			}
			if n := s.apiPort.server.GetOpenConnectionsCount(); n != 0 {
				t.Errorf("%s: %s: fasthttp has %d connections", name, l.name, n)
			}
		}
		client.Close() //nolint:errcheck // the end of the test
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// In a cluster with more toolsets than a loop looks through, it answers what needs only a few
// of them.
func TestTheEventLoopInALargeCluster(t *testing.T) {
	s := largeServer(t, withLoop)
	var served atomic.Int32 // by fasthttp
	handler := s.apiPort.server.Handler
	s.apiPort.server.Handler = func(ctx *fasthttp.RequestCtx) {
		served.Add(1)
		handler(ctx)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	for target, loop := range map[string]bool{
		"/api/v1/toolsets/p7": true, "/api/v1/toolsets/p7?namespace=ns-7": true, "/api/v1/toolsets/prometheus": true,
		"/api/v1/toolsets?namespace=ns-7": true, "/api/v1/toolsets?namespace=nowhere": true, "/api/v1/toolsets?type=loki&namespace=ns-7": true,
		"/api/v1/toolsets?verified=true": false, "/api/v1/toolsets?type=none": false, "/api/v1/toolsets": false,
	} {
		before := served.Load()
		answer, err := askOnce(s.Addr(), fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target))
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\n")) {
			t.Fatalf("%s: %.300q, %v", target, answer, err)
		}
		if got := served.Load() == before; got != loop {
			t.Errorf("%s: answered by the event loop: %v", target, got)
		}
	}
}

// withLoop makes a server listen anywhere, with event loops.
func withLoop(o *Options) {
	o.Listen, o.MetricsListen, o.EventLoop = "127.0.0.1:0", "127.0.0.1:0", true
}

func askOnce(addr string, request []byte) ([]byte, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // the end of a test
	if err := c.SetDeadline(time.Now().Add(testenv.Patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

// A fault in an event loop costs no request: the server answers it.
func TestAPanicInTheEventLoopIsForTheServer(t *testing.T) {
	s := lookupServer(t, withLoop)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.apiPort.direct.api = nil
	for range 2 {
		answer, err := askOnce(s.Addr(), []byte("GET /api/v1/toolsets/p7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 OK\r\n")) {
			t.Errorf("%q, %v", answer, err)
		}
	}
	var all bytes.Buffer
	s.set.WritePrometheus(&all)
	if !bytes.Contains(all.Bytes(), []byte("toolset_handler_panics_total 2\n")) {
		t.Error("the panics are not counted")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
