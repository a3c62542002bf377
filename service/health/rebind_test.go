package health

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv/nameserver"
	"kubernaut.io/dynamic-toolset/service"
)

// nameServer starts a name server, and returns a resolver that asks it.
func nameServer(t *testing.T, answer func(name string) []netip.Addr) *net.Resolver {
	t.Helper()
	return nameserver.Start(t, answer).Resolver()
}

// A check made before the connection can be evaded by a name that resolves to a harmless
// address when it is checked, and to loopback when it is called.
func TestDNSRebindingIsRefused(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Connection", "close")
	}))
	defer server.Close()
	// 127.0.0.2, which the options permit, stands for a harmless address; the server is the
	// same.
	harmless, loopback := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")
	port := server.Listener.Addr().(*net.TCPAddr).Port
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Skipf("SKIPPED LOUDLY: this system has no 127.0.0.2: %v", err)
	}
	second := &http.Server{Handler: server.Config.Handler}
	go func() { _ = second.Serve(l) }()
	defer second.Close()

	var lookups atomic.Int32
	o := fast(newRecorder())
	o.AllowCIDRs = []netip.Prefix{netip.PrefixFrom(harmless, 32)}
	o.Resolver = nameServer(t, func(string) []netip.Addr {
		if lookups.Add(1) == 1 {
			return []netip.Addr{harmless}
		}
		return []netip.Addr{loopback}
	})
	r := checks(t, o, fmt.Sprintf("http://rebind.attacker.example.com:%d/", port), 2)
	h := r.of(testKey)
	if len(h.History) < 2 {
		t.Fatalf("%+v", h)
	}
	if first := h.History[len(h.History)-1]; !first.Healthy {
		t.Errorf("the harmless address: %+v", first)
	}
	if h.Healthy || !strings.Contains(h.Reason, "address 127.0.0.1 is refused (loopback)") {
		t.Errorf("after the name changed: %+v", h)
	}
	if calls.Load() != 1 {
		t.Errorf("the server was called %d times, want once", calls.Load())
	}
}

// Each address of a name is checked, not only the first.
func TestEveryAddressOfANameIsLookedAt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	o := fast(newRecorder())
	o.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")} // nobody listens there
	o.Resolver = nameServer(t, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.1")}
	})
	for _, probe := range []service.Probe{
		httpProbe(fmt.Sprintf("http://two.addresses.example.com:%d/", port)),
		{Kind: service.ProbeTCP, Address: fmt.Sprintf("two.addresses.example.com:%d", port)},
	} {
		if h := check(t, o, probe); h.Healthy {
			t.Errorf("%s: called a refused address: %+v", probe.Kind, h)
		}
	}
}

func TestUnknownName(t *testing.T) {
	o := fast(newRecorder())
	o.Resolver = nameServer(t, func(string) []netip.Addr { return nil })
	h := check(t, o, httpProbe("http://prometheus.monitoring.svc.cluster.local:9090/-/healthy"))
	if want := "name does not resolve: prometheus.monitoring.svc.cluster.local (3 attempts)"; h.Healthy || h.Reason != want {
		t.Errorf("got %q, want %q", h.Reason, want)
	}
}

// A full name that exists is looked up only once.
func TestSearchDomainsComeLast(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "prometheus.monitoring.svc.cluster.local:") {
			w.WriteHeader(http.StatusTeapot) // the Host header must have no trailing dot
		}
	}))
	defer server.Close()
	var queries atomic.Int32
	o := fast(newRecorder())
	o.Resolver = nameServer(t, func(name string) []netip.Addr {
		queries.Add(1)
		if name == "prometheus.monitoring.svc.cluster.local." {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return nil
	})
	port := server.Listener.Addr().(*net.TCPAddr).Port
	h := check(t, o, httpProbe(fmt.Sprintf("http://prometheus.monitoring.svc.cluster.local:%d/", port)))
	if !h.Healthy || queries.Load() != 1 {
		t.Errorf("%d queries: %+v", queries.Load(), h)
	}
}

// A name that does not exist as it is may exist in a search domain.
func TestSearchDomainsAreTriedForAnUnknownFullName(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var queries atomic.Int32
	o := fast(newRecorder())
	o.Attempts = 1
	o.Resolver = nameServer(t, func(string) []netip.Addr {
		if queries.Add(1) == 1 {
			return nil // the name as it is does not exist
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	port := server.Listener.Addr().(*net.TCPAddr).Port
	h := check(t, o, httpProbe(fmt.Sprintf("http://a.name.with.dots:%d/", port)))
	if !h.Healthy {
		t.Errorf("after %d queries: %+v", queries.Load(), h)
	}
}
