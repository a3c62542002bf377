package products

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Front is a server on loopback that stands before a product, or in place of one. It
// ends with the test.
type Front struct {
	URL string // without a slash at its end
	// TLS is the server's if it has TLS: its client trusts the certificate, which no
	// system does.
	TLS *httptest.Server

	mu       sync.Mutex
	requests []Request
}

// A Request is one that a Front has received.
type Request struct {
	Method, Path  string // with the query
	Host          string
	Authorization string
	Cookie        string
}

// Requests returns what was received until now.
func (f *Front) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Serve starts a Front with any handler.
func Serve(t testing.TB, h http.Handler) *Front { return serve(t, false, h) }

func serve(t testing.TB, tls bool, h http.Handler) *Front {
	t.Helper()
	f := &Front{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, Request{r.Method, r.URL.RequestURI(), r.Host, r.Header.Get("Authorization"), r.Header.Get("Cookie")})
		f.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	if tls {
		s.StartTLS()
		f.TLS = s
	} else {
		s.Start()
	}
	f.URL = s.URL
	t.Cleanup(func() {
		s.CloseClientConnections() // those of clients that still wait for an answer
		s.Close()
	})
	return f
}

// pass passes requests on to a product.
func pass(t testing.TB, to string) http.Handler {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
}

// Plain passes all on, and counts.
func Plain(t testing.TB, to string) *Front { return Serve(t, pass(t, to)) }

// WithTLS speaks TLS with a certificate of a private CA. Like Go's servers, it answers
// 400 to HTTP without TLS.
func WithTLS(t testing.TB, to string) *Front { return serve(t, true, pass(t, to)) }

// BasicAuth wants the password "secret" from whatever user, as an ingress does.
func BasicAuth(t testing.TB, to string) *Front {
	next := pass(t, to)
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); subtle.ConstantTimeCompare([]byte(password), []byte("secret")) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="Authentication Required"`)
		http.Error(w, "<html><head><title>401 Authorization Required</title></head></html>", http.StatusUnauthorized)
	}))
}

// Bearer wants the token "secret". Like kube-rbac-proxy, it does not say so in a header.
func Bearer(t testing.TB, to string) *Front {
	next := pass(t, to)
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer secret" {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	}))
}

// Login lets nobody in without a session, and leads all others to a login page, as
// oauth2-proxy does.
func Login(t testing.TB, to string) *Front {
	next := pass(t, to)
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err == nil && c.Value == "secret" {
			next.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, "/oauth2/sign_in?rd="+url.QueryEscape(r.URL.RequestURI()), http.StatusFound)
	}))
}

// Tenant wants to be told a tenant, as Cortex, Loki, Mimir and Tempo do: the words are those
// of the module that they share.
func Tenant(t testing.TB, to string) *Front {
	next := pass(t, to)
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Scope-OrgID") == "" {
			http.Error(w, "no org id", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// Below serves the product below a prefix, which it removes from the path; the root leads
// there.
func Below(t testing.TB, to, prefix string) *Front {
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, pass(t, to)))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, prefix+"/", http.StatusFound) })
	return Serve(t, mux)
}

// Slow answers each request after a while.
func Slow(t testing.TB, to string, after time.Duration) *Front {
	next := pass(t, to)
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(after):
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
}

// Hanging takes requests and never answers.
func Hanging(t testing.TB) *Front {
	return Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
}

// Garbage answers with bytes that are neither HTTP nor UTF-8, and closes.
func Garbage(t testing.TB) *Front {
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("\x15\x03\x01\xff\xfe\x00\n\r\x80 not HTTP\n"))
		_ = conn.Close()
	}))
}

// Endless answers 200 with JSON that never ends.
func Endless(t testing.TB) *Front {
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := bytes.Repeat([]byte(`{"status":"success","data":[`), 1000)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
}

// Redirecting leads every request to a URL.
func Redirecting(t testing.TB, to string) *Front {
	return Serve(t, http.RedirectHandler(to, http.StatusFound))
}

// Changing passes each request on to the next of several products.
func Changing(t testing.TB, to ...string) *Front {
	var next []http.Handler
	for _, u := range to {
		next = append(next, pass(t, u))
	}
	var mu sync.Mutex
	n := 0
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := next[n%len(next)]
		n++
		mu.Unlock()
		h.ServeHTTP(w, r)
	}))
}

// Nginx is a real nginx before a product: it serves it below a prefix, and its own pages
// elsewhere. Without a product it serves its own pages only.
func Nginx(t testing.TB, to, prefix string) string {
	t.Helper()
	program := "/usr/sbin/nginx"
	if found, err := exec.LookPath("nginx"); err == nil {
		program = found
	} else if _, err := os.Stat(program); err != nil {
		if os.Getenv("TOOLSET_TEST_REQUIRE") == "1" {
			t.Fatal("nginx is missing: scripts/requirements installs it")
		}
		t.Skip("nginx is missing: scripts/requirements installs it")
	}
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	location := ""
	if to != "" {
		location = fmt.Sprintf("location %s/ { proxy_pass %s/; proxy_set_header Host $http_host; }", prefix, strings.TrimSuffix(to, "/"))
	}
	conf := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[2]d;
    default_type text/html;
    location = / { return 200 "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>"; }
    %[3]s
  }
}
`, dir, ports[0], location)
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := start(dir, program, []string{"-p", dir, "-c", dir + "/nginx.conf", "-e", "stderr"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	base := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	client := &http.Client{CheckRedirect: noRedirects, Timeout: 5 * time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := p.wait(ctx, func(ctx context.Context) error { return up(ctx, client, base+"/") }); err != nil {
		t.Fatal(err)
	}
	return base
}
