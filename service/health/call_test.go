package health

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

func TestHTTPAnswers(t *testing.T) {
	mux := http.NewServeMux()
	for _, code := range []int{200, 204, 299, 300, 304, 400, 401, 403, 404, 418, 500, 503} {
		mux.HandleFunc(fmt.Sprintf("/%d", code), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	var followed atomic.Bool
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/followed", http.StatusFound) })
	mux.HandleFunc("/followed", func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("/asked", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.UserAgent() != userAgent || r.Header.Get("Authorization") != "" || r.URL.RawQuery != "a=b" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, tt := range []struct {
		path    string
		accept  []int
		healthy bool
		want    string
	}{
		{"/200", nil, true, "GET /200 answered 200 in "},
		{"/204", nil, true, "GET /204 answered 204 in "},
		{"/299", nil, true, "answered 299"},
		{"/early", nil, true, "answered 200"},
		{"/asked?a=b", nil, true, "GET /asked answered 200"},
		{"/300", nil, false, "redirects to another place; health checks do not follow redirects"},
		{"/304", nil, false, "do not follow redirects"},
		{"/moved", nil, false, "GET /moved answered 302: it redirects to another place"},
		{"/moved", []int{302}, true, "answered 302"},
		{"/400", nil, false, "GET /400 answered 400 (3 attempts)"},
		{"/401", nil, false, "wants credentials"},
		{"/401", []int{401, 403}, true, "answered 401 in"},
		{"/403", []int{401}, false, "wants credentials"},
		{"/404", nil, false, "set the health path"},
		{"/418", nil, false, "GET /418 answered 418 (3 attempts)"},
		{"/500", nil, false, "GET /500 answered 500 (3 attempts)"},
		{"/503", nil, false, "answered 503"},
	} {
		h := check(t, fast(newRecorder()), service.Probe{Kind: service.ProbeHTTP, URL: server.URL + tt.path, AcceptStatus: tt.accept})
		if h.Healthy != tt.healthy || !strings.Contains(h.Reason, tt.want) || len(h.Reason) > maxReason {
			t.Errorf("%s: healthy = %v, reason %q; want %v, %q", tt.path, h.Healthy, h.Reason, tt.healthy, tt.want)
		}
		if h.CheckedAt.IsZero() || len(h.History) != 1 || h.History[0].Reason != h.Reason || h.History[0].LatencyMS <= 0 {
			t.Errorf("%s: incomplete health %+v", tt.path, h)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestProxyVariablesAreNotHonoured(t *testing.T) {
	var proxied atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Store(true) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	// Nobody has addresses in 192.0.2.0/24 (RFC 5737).
	o := fast(newRecorder())
	o.Timeout, o.Attempts = 50*time.Millisecond, 1
	check(t, o, httpProbe("http://192.0.2.1/"))
	if proxied.Load() {
		t.Error("the check went through the proxy")
	}
}

func TestTCP(t *testing.T) {
	l := listen(t)
	probe := service.Probe{Kind: service.ProbeTCP, Address: l.Addr().String()}
	if h := check(t, fast(newRecorder()), probe); !h.Healthy || !strings.HasPrefix(h.Reason, "connected to 127.0.0.1:") {
		t.Errorf("%+v", h)
	}
	l.Close()
	want := "connection refused by " + l.Addr().String() + " (3 attempts)"
	if h := check(t, fast(newRecorder()), probe); h.Healthy || h.Reason != want || h.History[0].Attempts != 3 {
		t.Errorf("%+v, want %q", h, want)
	}
	if h := check(t, fast(newRecorder()), httpProbe("http://"+l.Addr().String())); h.Healthy || h.Reason != want {
		t.Errorf("%+v, want %q", h, want)
	}
}

func TestLoopbackIsRefusedWithoutRetry(t *testing.T) {
	var called atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer server.Close()
	address := server.Listener.Addr().(*net.TCPAddr)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		o := fast(newRecorder())
		o.AllowCIDRs = nil
		where := fmt.Sprintf("%s:%d", host, address.Port)
		for _, probe := range []service.Probe{httpProbe("http://" + where), {Kind: service.ProbeTCP, Address: where}} {
			h := check(t, o, probe)
			if h.Healthy || !strings.Contains(h.Reason, "is refused (") || !strings.Contains(h.Reason, "--allow-endpoint-cidrs=") {
				t.Errorf("%s %s: %+v", probe.Kind, host, h)
			} else if h.History[0].Attempts != 1 {
				t.Errorf("%s %s: %d attempts, want 1: a refusal can't end differently", probe.Kind, host, h.History[0].Attempts)
			}
		}
	}
	if called.Load() {
		t.Error("the server was called")
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
	}))
	server.Config.ErrorLog = quiet()
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	for _, tt := range []struct {
		name     string
		url      string
		roots    *x509.CertPool
		insecure bool
		healthy  bool
		want     string
		attempts int
	}{
		{"unknown authority", server.URL, nil, false, false, "--health-ca-file", 1},
		{"known authority", server.URL, roots, false, true, "answered 200", 1},
		{"insecure", server.URL, nil, true, true, "answered 200", 1},
		{"wrong name", strings.Replace(server.URL, "127.0.0.1", "localhost", 1), roots, false, false, "not valid for localhost", 1},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), nil, false, false, "does not speak TLS", 3},
		{"plain HTTP to TLS", strings.Replace(server.URL, "https:", "http:", 1), nil, false, false, "answered 400", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := fast(newRecorder())
			o.RootCAs, o.InsecureSkipTLSVerify = tt.roots, tt.insecure
			h := check(t, o, httpProbe(tt.url))
			if h.Healthy != tt.healthy || !strings.Contains(h.Reason, tt.want) || h.History[0].Attempts != tt.attempts {
				t.Errorf("%+v", h)
			}
		})
	}
}

// Servers that speak no proper HTTP.
func TestBrokenAnswers(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"nothing", "", "closed the connection without an answer"},
		{"not HTTP", "SSH-2.0-secret\r\n\r\n", "is not valid HTTP/1.1"},
		{"half a status line", "HTTP/1.1 20", "is not valid HTTP/1.1"},
		{"half the headers", "HTTP/1.1 200 OK\r\nX: secr", "closed the connection without an answer"},
		{"endless headers", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("secret", 20_000), "longer than 64 KiB"},
		{"endless interim", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), "interim"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t)
			serve(t, l, func(c net.Conn) {
				readRequest(c)
				_, _ = io.WriteString(c, tt.answer)
			})
			h := check(t, fast(newRecorder()), httpProbe("http://"+l.Addr().String()))
			if h.Healthy || !strings.Contains(h.Reason, tt.want) || strings.Contains(h.Reason, "secr") {
				t.Errorf("%+v, want %q", h, tt.want)
			}
		})
	}
}
