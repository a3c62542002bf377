package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/transport"
)

var reads = []string{
	"/api/v1/toolsets", "/api/v1/toolsets?type=prometheus", "/api/v1/toolsets?enabled=true&healthy=false", "/api/v1/toolsets/prometheus",
	"/api/v1/toolsets/shared?namespace=team-a", "/api/v1/services", "/api/v1/services?namespace=team-b", "/api/v1/toolset",
}

func TestReadsRevalidateAndCompress(t *testing.T) {
	f := start(t, nil)
	for _, path := range reads {
		r := f.do("GET", path, "")
		tag := r.Header.Get("ETag")
		if r.StatusCode != 200 || len(tag) < 3 || tag[0] != '"' || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", path, r)
		}
		for _, match := range []string{tag, `"x", ` + tag, "*", "W/" + tag} {
			if n := f.do("GET", path, "", "If-None-Match", match); n.StatusCode != 304 || len(n.body) > 0 || n.Header.Get("ETag") != tag {
				t.Errorf("%s, If-None-Match %s: %s", path, match, n)
			}
		}
		if n := f.do("GET", path, "", "If-None-Match", `"other"`); n.StatusCode != 200 {
			t.Errorf("%s, another tag: %s", path, n)
		}
		h := f.do("HEAD", path, "")
		if h.StatusCode != 200 || len(h.body) > 0 || h.ContentLength != int64(len(r.body)) || h.Header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %s, length %d", path, h, h.ContentLength)
		}
		z := f.do("GET", path, "", "Accept-Encoding", "br, gzip;q=0.5")
		if z.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(z.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s compressed: %v", path, z.Header)
			continue
		}
		zr, err := gzip.NewReader(bytes.NewReader(z.body))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(zr); err != nil || !bytes.Equal(plain, r.body) {
			t.Errorf("%s: the compressed body differs (%v)", path, err)
		}
		for _, accept := range []string{"identity", "gzip;q=0", "br", "*;q=0"} {
			if p := f.do("GET", path, "", "Accept-Encoding", accept); p.Header.Get("Content-Encoding") != "" {
				t.Errorf("%s, Accept-Encoding %s: compressed", path, accept)
			}
		}
		slash := strings.Replace(path, "?", "/?", 1)
		if slash == path {
			slash += "/"
		}
		if s := f.do("GET", slash, ""); s.StatusCode != 200 || !bytes.Equal(s.body, r.body) {
			t.Errorf("%s: %s", slash, s)
		}
	}
	js := []string{"Content-Type", "application/json"}
	if r := f.do("POST", "/api/v1/toolsets/validate/", "{}", js...); r.StatusCode != 200 {
		t.Errorf("a POST with a trailing slash: %s", r)
	}
}

func TestStartingAndStale(t *testing.T) {
	st := make(chan transport.Status, 1)
	var current transport.Status
	f := start(t, func(o *options) {
		o.Status = func() transport.Status {
			select {
			case current = <-st:
			default:
			}
			return current
		}
	})
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	st <- transport.Status{NotReady: "Kubernetes has been unreachable.", StaleSince: since}
	d := wantProblem(t, f.eventually("GET", "/ready", 503), 503, "service-unavailable")
	if d.Detail != "Kubernetes has been unreachable." {
		t.Errorf("reason %q", d.Detail)
	}
	r := f.do("GET", "/api/v1/toolsets", "")
	if r.StatusCode != 200 || !strings.Contains(r.Header.Get("Warning"), "2026-01-02T03:04:05") {
		t.Errorf("lookups go on and say so: %s", r)
	}
	st <- transport.Status{}
	f.eventually("GET", "/ready", 200)
	if r := f.do("GET", "/api/v1/toolsets", ""); r.Header.Get("Warning") != "" {
		t.Errorf("still stale: %v", r.Header)
	}
}

func TestDiscoverWaits(t *testing.T) {
	var entered chan struct{}
	var release func()
	f := start(t, func(o *options) { entered, release = held(o) })
	js := []string{"Content-Type", "application/json"}
	if r := f.do("POST", "/api/v1/discover?wait=50ms", "", js...); r.StatusCode != 202 || !strings.Contains(string(r.body), "running") {
		t.Errorf("not done in time: %s", r)
	}
	<-entered
	release()
	if r := f.do("POST", "/api/v1/discover?wait=10s", "", js...); r.StatusCode != 200 || !strings.Contains(string(r.body), "done") {
		t.Errorf("done: %s", r)
	}
}

func TestGenerateShowsTheVersion(t *testing.T) {
	f := start(t, func(o *options) {
		o.Generate = func(context.Context) (string, error) { return "4711", nil }
	})
	r := f.do("POST", "/api/v1/toolsets/generate", "", "Content-Type", "application/json")
	if r.StatusCode != 200 || !strings.Contains(string(r.body), `"configMapVersion":"4711"`) {
		t.Errorf("%s", r)
	}
}

// Every response names the instance, whichever layer answers.
func TestServedBy(t *testing.T) {
	f := start(t, func(o *options) {
		o.ServedBy, o.Generate, o.Limits.MaxConnections = "pod-1", panicking, 2
	})
	js := []string{"Content-Type", "application/json"}
	for _, r := range []*response{
		f.do("GET", "/api/v1/toolsets", ""), f.do("GET", "/ready", ""), f.do("GET", "/nothing", ""),
		f.do("POST", "/api/v1/toolsets/generate", "", js...), f.do("BREW", "/health", ""),
	} {
		if got := r.Header.Get("X-Served-By"); got != "pod-1" {
			t.Errorf("X-Served-By %q: %s", got, r)
		}
	}
	c := f.dial()
	c.write("nonsense\r\n\r\n")
	if r := c.read(); r.StatusCode != 400 || r.Header.Get("X-Served-By") != "pod-1" {
		t.Errorf("a malformed request: %s", r)
	}
	if r := start(t, nil).do("GET", "/ready", ""); len(r.Header.Values("X-Served-By")) != 0 {
		t.Errorf("without a name: %s", r)
	}
}
