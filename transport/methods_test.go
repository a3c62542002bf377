package transport_test

import (
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/transport"
)

var paths = []string{
	"/", "/health", "/health/live", "/healthz", "/health/ready", "/ready", "/readyz", "/version", "/openapi.json", "/api/v1/toolsets",
	"/api/v1/toolsets/prometheus", "/api/v1/toolsets/nothing", "/api/v1/toolsets/watch", "/api/v1/services", "/api/v1/toolset",
	"/api/v1/discover", "/api/v1/toolsets/generate", "/api/v1/toolsets/validate", "/mcp",
}

// allowed returns the Allow field of an OPTIONS request.
func (f *fixture) allowed(path string) []string {
	f.t.Helper()
	r := f.do("OPTIONS", path, "")
	if r.StatusCode != 204 || len(r.body) > 0 || r.Header.Get("Content-Length") != "" || r.Header.Get("X-Request-Id") == "" ||
		r.Header.Get("Access-Control-Allow-Origin") != "" {
		f.t.Errorf("OPTIONS %s: %s", path, r)
	}
	return strings.Split(r.Header.Get("Allow"), ", ")
}

// Allow is right: the methods in it are not answered 405, all others are, and a 405 has
// the same field.
func TestAllowListsWhatIsAllowed(t *testing.T) {
	f := start(t, nil)
	for _, path := range paths {
		allow := f.allowed(path)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			if method == "GET" && path == "/api/v1/toolsets/watch" {
				continue // a stream does not end; TestTrapWatcher tests it
			}
			r := f.do(method, path, "")
			if allowed := r.StatusCode != 405; allowed != slices.Contains(allow, method) {
				t.Errorf("%s %s: status %d, but Allow is %q", method, path, r.StatusCode, allow)
			} else if !allowed && r.Header.Get("Allow") != strings.Join(allow, ", ") {
				t.Errorf("%s %s: Allow %q, OPTIONS says %q", method, path, r.Header.Get("Allow"), allow)
			}
		}
	}
	if r := f.do("OPTIONS", "/nothing", ""); r.StatusCode != 404 {
		t.Errorf("an unknown path: %s", r)
	}
	if got := strings.Join(f.allowed("/health/"), " "); got != "GET HEAD OPTIONS" {
		t.Errorf("a trailing slash: %q", got)
	}

	// A toolset may have the name of a command.
	f.catalogue.Upsert(svc("monitoring", "validate", "custom"))
	f.catalogue.Build()
	if got := strings.Join(f.allowed("/api/v1/toolsets/validate"), " "); got != "GET HEAD OPTIONS POST" {
		t.Errorf("a toolset named validate: %q", got)
	}
	if r := f.do("GET", "/api/v1/toolsets/validate", ""); r.StatusCode != 200 {
		t.Errorf("a toolset named validate: %s", r)
	}
}

// "OPTIONS *" asks about the server as a whole.
func TestOptionsOfTheServer(t *testing.T) {
	f := start(t, nil)
	c := f.dial()
	c.write("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	if r := c.read(); r.StatusCode != 204 || !strings.Contains(r.Header.Get("Allow"), "POST") {
		t.Errorf("%s", r)
	}
}

// The names of the probes in Kubernaut's specification count as the same routes, so that
// alerts which leave probes out need not know them.
func TestProbesByOtherNames(t *testing.T) {
	f := start(t, nil)
	for alias, of := range map[string]string{"/healthz": "/health", "/readyz": "/ready"} {
		if a, b := f.do("GET", alias, ""), f.do("GET", of, ""); a.StatusCode != 200 || string(a.body) != string(b.body) {
			t.Errorf("%s: %s", alias, a)
		}
	}
	r, err := send(f.metricsURL, "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(r.body), `toolset_http_requests_total{route="/ready",method="GET",code="200"} 2`) || strings.Contains(string(r.body), "healthz") {
		t.Errorf("not counted as one route:\n%s", r.body)
	}
	down := start(t, func(o *options) {
		o.Status = func() transport.Status { return transport.Status{NotReady: "No cluster."} }
	})
	wantProblem(t, down.do("GET", "/readyz", ""), 503, "service-unavailable")
	if r := down.do("GET", "/healthz", ""); r.StatusCode != 200 {
		t.Errorf("%s", r)
	}
}

// Of several toolsets of a type, one is the primary; it may be marked.
func TestLookupOfThePrimary(t *testing.T) {
	f := start(t, nil)
	if got := getToolset(t, f, "custom"); got.Namespace != "team-a" || got.PrimaryReason != "before team-b/shared by namespace and name; nothing else tells them apart" ||
		!slices.Equal(got.Alternatives, []string{"team-b/shared"}) {
		t.Errorf("%+v", got)
	}
	primary := svc("team-b", "shared", "custom")
	primary.Annotations = map[string]string{"primary": "true"}
	f.catalogue.Upsert(primary)
	f.catalogue.Build()
	if got := getToolset(t, f, "custom"); got.Namespace != "team-b" || got.PrimaryReason != "an annotation of its Service makes it the primary" {
		t.Errorf("%+v", got)
	}
	wantProblem(t, f.do("GET", "/api/v1/toolsets/shared", ""), 409, "conflict")
}

// Without event streams, clients are told to poll.
func TestStreamsSwitchedOff(t *testing.T) {
	f := start(t, func(o *options) { o.MaxWatchers = -1 })
	for range 2 {
		r := f.do("GET", "/api/v1/toolsets/watch", "")
		d := wantProblem(t, r, 503, "service-unavailable")
		if !strings.Contains(d.Detail, "switched off") || !strings.Contains(d.Detail, "If-None-Match") || r.Header.Get("Retry-After") != "3600" {
			t.Errorf("%s", r)
		}
	}
	if r := f.do("GET", "/api/v1/toolsets", ""); r.StatusCode != 200 {
		t.Errorf("%s", r)
	}
}

// A parameter of a list with an empty value counts as not given, since clients of
// Kubernaut's service send that.
func TestEmptyStatesAreNotGiven(t *testing.T) {
	f := start(t, nil)
	whole := f.do("GET", "/api/v1/toolsets", "")
	if r := f.do("GET", "/api/v1/toolsets?enabled=&healthy=", ""); r.StatusCode != 200 || string(r.body) != string(whole.body) || r.Header.Get("ETag") != whole.Header.Get("ETag") {
		t.Errorf("%s", r)
	}
	r := f.do("GET", "/api/v1/toolsets?enabled=&healthy=true", "")
	if r.StatusCode != 200 || !strings.Contains(string(r.body), `"total":0`) {
		t.Errorf("%s", r)
	}
	wantProblem(t, f.do("GET", "/api/v1/toolsets?enabled=&enabled=true", ""), 400, "validation-error")
}
