package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport"
)

const anyToken = `Bearer realm="dynamic-toolset"`

// No route is open by mistake: a new one needs a right, or is listed here.
func TestEveryRouteIsAuthorized(t *testing.T) {
	f := authorizing(t, newRegistry(), nil)
	open := []string{"/health", "/health/live", "/healthz", "/health/ready", "/ready", "/readyz", "/version", "/openapi.json"}
	authorizedRoutes := 0
	for _, path := range paths {
		for _, suffix := range []string{"", "/"} {
			if path+suffix == "//" {
				continue // that is not the page
			}
			for _, method := range f.allowed(path) {
				r := f.do(method, path+suffix, "", "Content-Type", "application/json")
				switch {
				case method == "OPTIONS":
				case slices.Contains(open, path):
					if r.StatusCode != 200 || r.Header.Get("WWW-Authenticate") != "" {
						t.Errorf("%s %s: %s", method, path, r)
					}
				default:
					authorizedRoutes++
					if r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") != anyToken {
						t.Errorf("%s %s: %s", method, path, r)
					}
				}
			}
		}
	}
	if authorizedRoutes < 20 {
		t.Errorf("only %d routes are authorized", authorizedRoutes)
	}
}

// Each form of credentials, and the answer to it.
func TestCredentials(t *testing.T) {
	r := newRegistry()
	f := authorizing(t, r, nil)
	const invalid = anyToken + `, error="invalid_token", error_description="The token is malformed, expired, revoked or not for this service"`
	for _, c := range []struct {
		sent      []string // Authorization fields
		status    int
		challenge string
		asked     int
	}{
		{nil, 401, anyToken, 0},
		{[]string{""}, 401, anyToken, 0},
		{[]string{"Basic YTpi"}, 401, anyToken, 0},
		{[]string{"Bearerx"}, 401, anyToken, 0},
		{[]string{"admin"}, 401, anyToken, 0},
		{[]string{"Bearer"}, 401, invalid, 0},
		{[]string{"Bearer  "}, 401, invalid, 0},
		{[]string{"Bearer ="}, 401, invalid, 0},
		{[]string{"Bearer admin admin"}, 401, invalid, 0},
		{[]string{"Bearer admin,admin"}, 401, invalid, 0},
		{[]string{"Bearer a=dmin"}, 401, invalid, 0},
		{[]string{"Bearer adm\xc3\xaen"}, 401, invalid, 0},
		{[]string{"Bearer\tadmin"}, 401, anyToken, 0},
		{[]string{"Bearer unknown"}, 401, invalid, 1},
		{[]string{"Bearer Admin"}, 401, invalid, 1},
		{[]string{"Bearer nobody"}, 403, anyToken + `, error="insufficient_scope"`, 1},
		{[]string{"Bearer admin", "Bearer admin"}, 400, anyToken + `, error="invalid_request", error_description="There is more than one Authorization field"`, 0},
		{[]string{"Basic YTpi", "Bearer admin"}, 400, anyToken + `, error="invalid_request", error_description="There is more than one Authorization field"`, 0},
		{[]string{"Bearer admin"}, 200, "", 1},
		{[]string{"bearer   admin.other=="}, 200, "", 1},
		{[]string{"BEARER admin.-._~+/09"}, 200, "", 1},
	} {
		before := r.tokens
		client := f.dial()
		client.write("GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n")
		for _, a := range c.sent {
			client.write("Authorization: " + a + "\r\n")
		}
		client.write("\r\n")
		resp := client.read()
		if got := resp.Header.Get("WWW-Authenticate"); got != c.challenge || resp.StatusCode != c.status {
			t.Errorf("%q: %d, challenge %q, want %d, %q", c.sent, resp.StatusCode, got, c.status, c.challenge)
		}
		if names := map[int]string{400: "validation-error", 401: "unauthorized", 403: "forbidden"}; c.status != 200 {
			d := wantProblem(t, resp, c.status, names[c.status])
			if c.status == 400 && (len(d.Errors) != 1 || d.Errors[0].Header != "Authorization") {
				t.Errorf("%q: the errors are %+v", c.sent, d.Errors)
			}
		}
		if asked := r.tokens - before; asked != c.asked {
			t.Errorf("%q: %d questions, want %d", c.sent, asked, c.asked)
		}
	}
	if text := fmt.Sprint(f.logs.All()); strings.Contains(text, "admin.other") {
		t.Error("a token is in the log")
	}
}

// Credentials in a trailer are not accepted (RFC 9110, section 6.5.1).
func TestCredentialsInTrailers(t *testing.T) {
	f := authorizing(t, newRegistry(), nil)
	c := f.dial()
	c.write("POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n" +
		"2\r\n{}\r\n0\r\nAuthorization: Bearer admin\r\n\r\n")
	if r := c.read(); r.StatusCode != 400 && r.StatusCode != 401 {
		t.Errorf("%s", r)
	}
}

// A request with several mistakes is answered for the first of them in this order: path,
// method, credentials, media type, size, body.
func TestOrderOfChecks(t *testing.T) {
	f := authorizing(t, newRegistry(), func(o *options) { o.Limits.MaxRequestBody = 100 })
	large := strings.Repeat("x", 200)
	admin, js := []string{"Authorization", "Bearer admin"}, []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		name               string
	}{
		{"POST", "/nothing", large, nil, 404, "not-found"},
		{"DELETE", "/api/v1/toolsets", large, nil, 405, "method-not-allowed"},
		{"POST", "/api/v1/toolsets/validate", large, nil, 401, "unauthorized"},
		{"GET", "/api/v1/toolsets", large, nil, 401, "unauthorized"},
		{"GET", "/api/v1/toolsets/nothing", "", nil, 401, "unauthorized"},
		{"GET", "/api/v1/toolsets?nonsense=1", "", nil, 401, "unauthorized"},
		{"POST", "/api/v1/toolsets/validate", large, []string{"Authorization", "Bearer nobody"}, 403, "forbidden"},
		{"GET", "/api/v1/toolsets", large, admin, 413, "payload-too-large"},
		{"POST", "/api/v1/toolsets/validate", large, admin, 415, "unsupported-media-type"},
		{"POST", "/api/v1/toolsets/validate", large, append(js, admin...), 413, "payload-too-large"},
		{"POST", "/api/v1/toolsets/validate", "{", append(js, admin...), 400, "validation-error"},
		{"GET", "/api/v1/toolsets/nothing", "", admin, 404, "not-found"},
		{"GET", "/api/v1/toolsets/validate", "", admin, 405, "method-not-allowed"},
	} {
		r := f.do(c.method, c.path, c.body, c.header...)
		if r.StatusCode != c.status {
			t.Errorf("%s %s %v: %s, want %d", c.method, c.path, c.header, r, c.status)
			continue
		}
		wantProblem(t, r, c.status, c.name)
	}
}

// One right and one decision cover lookups by any name, and nothing else, however the
// path is spelled.
func TestRightOfLookups(t *testing.T) {
	reg := newRegistry()
	f := authorizing(t, reg, nil)
	do := func(method, path string) *response {
		return f.do(method, path, "", "Authorization", "Bearer reader", "Content-Type", "application/json")
	}
	for range 2 {
		for path, status := range map[string]int{"prometheus": 200, "grafana": 200, "grafana/": 200, "grafana?namespace=monitoring": 200, "nothing": 404, "shared": 409} {
			if r := do("GET", "/api/v1/toolsets/"+path); r.StatusCode != status {
				t.Errorf("%s: %s", path, r)
			}
		}
	}
	if r := do("HEAD", "/api/v1/toolsets/grafana"); r.StatusCode != 200 {
		t.Errorf("HEAD: %s", r)
	}
	if got := strings.Join(reg.actions, "; "); got != "get /dynamic-toolset/api/v1/toolsets/*" || reg.tokens != 1 {
		t.Errorf("asked for %q and about %d tokens", got, reg.tokens)
	}
	d := wantProblem(t, do("GET", "/api/v1/toolsets"), 403, "forbidden")
	if want := `"reader" may not get /dynamic-toolset/api/v1/toolsets. `; !strings.HasPrefix(d.Detail, want) {
		t.Errorf("the detail is %q", d.Detail)
	}
	for _, path := range []string{"/api/v1/toolsets", "/api/v1/services", "/api/v1/toolset", "/api/v1/toolsets/watch", "/api/v1/toolsets/"} {
		wantProblem(t, do("GET", path), 403, "forbidden")
	}
	wantProblem(t, do("POST", "/api/v1/toolsets/generate"), 403, "forbidden")
	for _, path := range []string{
		"/api/v1/toolsets/../services", "/api/v1/toolsets/%2e%2e/services", "//api/v1/services", "/api/v1/services//", "/api/v1/./services",
		"/API/v1/services", "/api/v1/services%00", "/api/v1/toolsets/x/../../services", "/api/v1/toolsets/..%2fservices", "/%61pi/v1/services",
		"http://x/api/v1/services", "/api/v1/services;x", "/api/v1/toolsets/watch/", "/api/v1/toolsets/%77atch",
	} {
		c := f.dial()
		c.write("GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer reader\r\n\r\n")
		if r := c.read(); r.StatusCode < 400 {
			t.Errorf("%s: %s", path, r)
		}
	}
}

// public is an error whose text may be shown to clients.
type public struct{ error }

func (p public) Public() string { return p.Error() }

// While the authority gives no answer, only callers with a remembered decision pass. The
// log says so once, and when it is over.
func TestAuthorityUnavailable(t *testing.T) {
	reg := newRegistry()
	f := authorizing(t, reg, nil)
	list := func(token string) *response {
		return f.do("GET", "/api/v1/toolsets", "", "Authorization", "Bearer "+token)
	}
	if r := list("admin"); r.StatusCode != 200 {
		t.Fatal(r)
	}
	reg.set(func() { reg.down = errors.New("dial 10.0.0.1: connection refused") })
	for range 3 {
		r := list("admin.other")
		d := wantProblem(t, r, 503, "service-unavailable")
		if r.Header.Get("Retry-After") == "" || strings.Contains(d.Detail, "10.0.0.1") || !strings.HasSuffix(d.Detail, "The cause is in the service's log.") {
			t.Errorf("%s", r)
		}
	}
	if r := list("admin"); r.StatusCode != 200 {
		t.Errorf("what is remembered: %s", r)
	}
	if n := f.logs.FilterMessageSnippet("Callers can't be reviewed").Len(); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
	reg.set(func() { reg.down = public{errors.New("this service may not create tokenreviews")} })
	if d := wantProblem(t, list("admin.third"), 503, "service-unavailable"); !strings.HasSuffix(d.Detail, "The cause: this service may not create tokenreviews.") {
		t.Errorf("the detail is %q", d.Detail)
	}
	reg.set(func() { reg.down = nil })
	if r := list("admin.third"); r.StatusCode != 200 {
		t.Errorf("%s", r)
	}
	if n := f.logs.FilterMessage("Callers can be reviewed again").Len(); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
	f.wantMetrics(`toolset_auth_decisions_total{result="allowed"} 3`, `toolset_auth_decisions_total{result="unavailable"} 4`,
		`toolset_auth_reviews_total{review="token",result="unavailable"} 4`, `toolset_auth_reviews_total{review="action",result="allowed"} 2`,
		`toolset_auth_review_duration_seconds_count{review="token"} 6`, `toolset_auth_cache_entries{token="valid"} 2`,
		`toolset_auth_cache_entries{token="invalid"} 0`)
}

func (f *fixture) wantMetrics(series ...string) {
	f.t.Helper()
	r, err := send("http://"+f.server.MetricsAddr(), "GET", "/metrics", "")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, s := range series {
		if !strings.Contains(string(r.body), s+"\n") {
			f.t.Errorf("the metrics lack %s", s)
		}
	}
	if f.t.Failed() {
		for line := range strings.Lines(string(r.body)) {
			if strings.HasPrefix(line, "toolset_auth") || strings.HasPrefix(line, "toolset_rate") {
				f.t.Log(line)
			}
		}
	}
}

// The metrics are open unless they are protected as well.
func TestMetricsPort(t *testing.T) {
	for _, protect := range []bool{false, true} {
		reg := newRegistry()
		reg.may["prometheus"] = []string{"get /metrics"}
		f := authorizing(t, reg, func(o *options) {
			o.Auth.Metrics = protect
			o.RateLimit = transport.RateLimit{PerSecond: 1, Burst: 1}
		})
		ask := func(method, path string, header ...string) *response {
			r, err := send("http://"+f.server.MetricsAddr(), method, path, "", header...)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for range 3 { // scrapes are not limited
			r := ask("GET", "/metrics")
			if protect {
				wantProblem(t, r, 401, "unauthorized")
			} else if r.StatusCode != 200 {
				t.Errorf("%s", r)
			}
		}
		if r := ask("GET", "/metrics", "Authorization", "Bearer prometheus"); r.StatusCode != 200 {
			t.Errorf("%s", r)
		}
		if protect {
			wantProblem(t, ask("GET", "/metrics", "Authorization", "Bearer nobody"), 403, "forbidden")
		}
		wantProblem(t, ask("GET", "/"), 404, "not-found")
	}
}

// A stream ends when the right to it ends, and not before.
func TestStreamEndsWithTheRight(t *testing.T) {
	const ttl = 2 * time.Second
	reg := newRegistry()
	f := authorizing(t, reg, func(o *options) { o.Auth.TTL = ttl })
	for _, c := range []struct {
		user   string
		take   func()
		reason string
	}{
		{"jane", func() { reg.may["jane"] = []string{} }, "the permission was taken away"},
		{"john", func() { reg.revoked = "john" }, "the token is not valid any more; reconnect with a new one"},
		{"joe", func() { reg.down = errors.New("down") }, "the permission can't be checked now; reconnect later"},
	} {
		reg.set(func() { reg.may[c.user] = []string{"get /dynamic-toolset/api/v1/toolsets/watch"} })
		events, status := f.watch(c.user)
		if status != 200 {
			t.Fatalf("%s: status %d", c.user, status)
		}
		if e := <-events; e.name != "snapshot" {
			t.Fatalf("the first event is %v", e)
		}
		select {
		case e := <-events:
			t.Fatalf("%s: a stream that may go on has the event %v", c.user, e)
		case <-time.After(2 * ttl):
		}
		reg.set(c.take)
		select {
		case e := <-events:
			if e.name != "goodbye" || e.data != `{"reason":"`+c.reason+`"}` {
				t.Errorf("%s: %v", c.user, e)
			}
			if e, more := <-events; more {
				t.Errorf("%s: after its end the stream has %v", c.user, e)
			}
		case <-time.After(testenv.Patience):
			t.Errorf("%s: the stream goes on", c.user)
		}
	}
	if _, status := f.watch("nobody"); status != 503 { // after the last case there is no answer
		t.Errorf("status %d", status)
	}
}

type streamed struct{ name, data string }

// watch opens an event stream with a token. The channel is closed when the stream ends.
func (f *fixture) watch(token string) (<-chan streamed, int) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+"/api/v1/toolsets/watch", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	tr := &http.Transport{}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	events := make(chan streamed, 100)
	done := make(chan struct{})
	f.t.Cleanup(func() { cancel(); <-done; tr.CloseIdleConnections() })
	go func() {
		defer close(done)
		defer close(events)
		defer resp.Body.Close() //nolint:errcheck // it was only read
		var e streamed
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			switch field, value, _ := strings.Cut(s.Text(), ": "); field {
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					events <- e
				}
				e = streamed{}
			}
		}
	}()
	return events, resp.StatusCode
}
