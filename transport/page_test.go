package transport_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/transport"
	drawn "kubernaut.io/dynamic-toolset/transport/page"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// What a browser gets, with the headers that bound what the page can do.
func TestPage(t *testing.T) {
	f := start(t, func(o *options) {
		o.PageState = func() transport.PageState { return drawn.State{Version: "9.9.9", Cluster: drawn.Cluster{Name: "here"}} }
	})
	r := f.do("GET", "/", "", "Accept", browser)
	if r.StatusCode != 200 || !strings.Contains(string(r.body), "team-a/") || !strings.Contains(string(r.body), "9.9.9") {
		t.Fatalf("%s", r)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": drawn.Policy,
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(drawn.Policy, want) {
			t.Errorf("the policy %q has no %s", drawn.Policy, want)
		}
	}
	if strings.Contains(drawn.Policy, "unsafe") || strings.Contains(drawn.Policy, "*") {
		t.Errorf("the policy is %q", drawn.Policy)
	}
	head := f.do("HEAD", "/", "", "Accept", browser)
	if head.StatusCode != 200 || len(head.body) > 0 || head.Header.Get("Content-Security-Policy") != drawn.Policy || head.ContentLength <= 0 {
		t.Errorf("HEAD: %s", head)
	}
	zipped := f.do("GET", "/", "", "Accept", browser, "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(strings.NewReader(string(zipped.body)))
	if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v: %s", err, zipped)
	}
	if b, err := io.ReadAll(z); err != nil || !strings.HasSuffix(string(b), "</html>") || len(zipped.body) > len(b)/2 {
		t.Errorf("%d bytes of %d: %v", len(zipped.body), len(b), err)
	}
	filtered := string(f.do("GET", "/?type=grafana&namespace=&verdict=unasked&health=unchecked&enabled=true", "", "Accept", browser).body)
	if !strings.Contains(filtered, `data-key="monitoring/grafana"`) || strings.Contains(filtered, `data-key="team-a/shared"`) {
		t.Error("the filters do not work")
	}
	m, err := send(f.metricsURL, "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(m.body), `toolset_http_requests_total{route="/",method="GET",code="200"}`) {
		t.Error("the metrics have no route /")
	}
}

// For programs there is nothing at /, as at any path that nobody knows.
func TestNoPageForPrograms(t *testing.T) {
	f := authorizing(t, newRegistry(), nil)
	for _, method := range []string{"GET", "POST", "DELETE"} {
		for _, accept := range []string{"application/json", "application/json, text/plain, */*", "text/html;q=0"} {
			got := wantProblem(t, f.do(method, "/", "", "Accept", accept, "Content-Type", "application/json"), 404, "not-found")
			want := wantProblem(t, f.do(method, "/nothing", "", "Accept", accept, "Content-Type", "application/json"), 404, "not-found")
			if got.Detail != want.Detail || got.Title != want.Title {
				t.Errorf("%s with %q: %+v, and at an unknown path %+v", method, accept, got, want)
			}
		}
	}
	r := f.do("POST", "/", "", "Accept", browser)
	if wantProblem(t, r, 405, "method-not-allowed"); r.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("%s", r)
	}
}

// The page shows what the API answers, so it is for the same callers.
func TestPageIsForCallers(t *testing.T) {
	reg := newRegistry()
	reg.may["jane"] = []string{"get /dynamic-toolset/"}
	f := authorizing(t, reg, nil)
	wantProblem(t, f.do("GET", "/", "", "Accept", browser), 401, "unauthorized")
	wantProblem(t, f.do("GET", "/", "", "Accept", browser, "Authorization", "Bearer nobody"), 403, "forbidden")
	if r := f.do("GET", "/", "", "Accept", browser, "Authorization", "Bearer jane"); r.StatusCode != 200 {
		t.Errorf("%s", r)
	}
}

// Errors are problem documents for browsers, too.
func TestMistakenPages(t *testing.T) {
	failure := atomic.Pointer[error]{}
	f := start(t, func(o *options) {
		o.Explain = func(_ context.Context, key service.Key) (*explain.Document, error) {
			if err := failure.Load(); err != nil {
				return nil, *err
			}
			return &explain.Document{Service: key, Listed: true, Type: "grafana", Steps: []explain.Step{{Rule: "the rule", For: []string{"the evidence"}}}}, nil
		}
	})
	for query, want := range map[string]string{
		"?x=1": "it has: type, namespace", "?x": "it has: type, namespace", "?verdict=yes": "verified, refuted, unverified", "?health=ok": "healthy, unhealthy", "?enabled=1": "true, false",
		"?page=0": "from 1", "?page=x": "from 1", "?type=a&type=b": "more than once", "?explain=grafana": "NAMESPACE/NAME", "?explain=a/b/c": "NAMESPACE/NAME", "?explain=a/..": "", "?name=" + strings.Repeat("a", 600): "longer",
	} {
		r := f.do("GET", "/"+query, "", "Accept", browser)
		if want == "" {
			continue
		}
		d := wantProblem(t, r, 400, "validation-error")
		if len(d.Errors) != 1 || !strings.Contains(d.Errors[0].Message, want) {
			t.Errorf("%s: %+v, want %q", query, d, want)
		}
	}
	got := string(f.do("GET", "/?explain=monitoring/grafana", "", "Accept", browser).body)
	if !strings.Contains(got, "listed as grafana") || !strings.Contains(got, "the evidence") || !strings.Contains(got, "the rule") {
		t.Error("the page has no explanation")
	}
	var unknown error = explain.NewMissing(service.Key{Namespace: "monitoring", Name: "nothing"}, nil)
	failure.Store(&unknown)
	wantProblem(t, f.do("GET", "/?explain=monitoring/nothing", "", "Accept", browser), 404, "not-found")
	secret := errors.New("dial 10.1.2.3: refused")
	failure.Store(&secret)
	if d := wantProblem(t, f.do("GET", "/?explain=monitoring/grafana", "", "Accept", browser), 503, "service-unavailable"); strings.Contains(d.Detail, "10.1.2.3") {
		t.Errorf("%+v", d)
	}
}

// However many ask for pages, few are drawn at the same time, and lookups are answered.
func TestPagesAreBounded(t *testing.T) {
	begun, release := make(chan struct{}, 100), make(chan struct{})
	f := start(t, func(o *options) {
		o.PageState = func() transport.PageState {
			begun <- struct{}{}
			<-release
			return transport.PageState{}
		}
	})
	codes := make(chan int, 6)
	for range cap(codes) {
		go func() {
			r, err := send(f.url, "GET", "/", "", "Accept", browser)
			if err != nil {
				codes <- 0
				return
			}
			codes <- r.StatusCode
		}()
	}
	<-begun
	<-begun
	if r := f.do("GET", "/api/v1/toolsets/grafana", ""); r.StatusCode != 200 {
		t.Errorf("%s", r)
	}
	var got []int
	for range cap(codes) - 2 { // the others give up
		got = append(got, <-codes)
	}
	if len(begun) > 0 {
		t.Errorf("%d pages more were begun", len(begun))
	}
	close(release)
	for range 2 {
		got = append(got, <-codes)
	}
	slices.Sort(got)
	if want := []int{200, 200, 503, 503, 503, 503}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if r := f.do("GET", "/", "", "Accept", browser); r.StatusCode != 200 {
		t.Errorf("afterwards: %s", r)
	}
}

// While the cluster is out of reach, the page says so as every read does.
func TestPageWhileStale(t *testing.T) {
	f := start(t, func(o *options) {
		o.Status = func() transport.Status { return transport.Status{StaleSince: time.Now().Add(-time.Minute)} }
	})
	if r := f.do("GET", "/", "", "Accept", browser); r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Warning"), "110 ") {
		t.Errorf("%s", r.Header)
	}
}
