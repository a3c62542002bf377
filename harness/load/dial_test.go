package load

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/internal/ports"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// fewPorts has loads use these source ports until the test ends. They are below those
// that the kernel gives to others.
func fewPorts(t *testing.T, first, last uint16) {
	t.Helper()
	pool, before := ports.New(first, last), sourcePorts
	sourcePorts = func() *ports.Pool { return pool }
	t.Cleanup(func() { sourcePorts = before })
}

// No source port is used again before it has rested. When there are no more, requests are
// left out and counted; none fails.
func TestSourcePortsRest(t *testing.T) {
	fewPorts(t, 20100, 20119)
	var mu sync.Mutex
	seen := map[string]int{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			seen[c.RemoteAddr().String()]++
			mu.Unlock()
		}
	}
	s.Start()
	defer s.Close()
	c := Config{
		Address: s.Listener.Addr().String(), PortRest: time.Minute, ResponseTimeout: patience, DialTimeout: patience,
		Clients: []Client{{Class: record.New, Rate: 200}}, Targets: []Target{{Path: "/"}},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	sent := 0
	summary, err := Run(ctx, c, func(r record.Request) {
		sent++
		if r.Failed() {
			t.Errorf("%s: %s", r.Outcome, r.Detail)
		}
		if !strings.HasPrefix(r.Local, "127.0.0.1:201") {
			t.Errorf("a request that no response gives a pod is from %q", r.Local)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for address, n := range seen {
		if n > 1 {
			t.Errorf("%d connections came from %s", n, address)
		}
	}
	if own := summary.Clients[0]; sent == 0 || sent > 20 || own.Sent != sent || own.NoPort == 0 || own.Skipped > 0 {
		t.Errorf("%d sent, and of the generator's own account %+v", sent, own)
	}
}

// A dial that fails is from a known port, which the node's connection tracking knows.
func TestPortOfAFailedDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	fewPorts(t, 20130, 20159)
	c := Config{Address: address, PortRest: time.Minute, Clients: []Client{{Class: record.New, Rate: 50}}, Targets: []Target{{Path: "/"}}}
	all, _ := runUntil(t, c, func(_ *record.Request, n int) bool { return n >= 3 })
	for _, r := range all {
		if r.Outcome != record.Refused || !strings.HasPrefix(r.Local, "127.0.0.1:201") {
			t.Errorf("%s from %q: %s", r.Outcome, r.Local, r.Detail)
		}
	}
}
