package transport_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProblemUnsupportedMediaType(t *testing.T) {
	f := start(t, nil)
	for sent, wantDetail := range map[string]string{
		"": "nothing was sent", "text/plain": `"text/plain"`, "application/jsonx": `"application/jsonx"`,
		"application/x-www-form-urlencoded": `"application/x-www-form-urlencoded"`,
	} {
		var header []string
		if sent != "" {
			header = []string{"Content-Type", sent}
		}
		for _, path := range []string{"/api/v1/toolsets/validate", "/api/v1/toolsets/generate", "/api/v1/discover"} {
			d := wantProblem(t, f.do("POST", path, "{}", header...), 415, "unsupported-media-type")
			if !strings.Contains(d.Detail, wantDetail) || d.Instance != path {
				t.Errorf("%q: detail %q, instance %q", sent, d.Detail, d.Instance)
			}
		}
	}
	for _, sent := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"} {
		if r := f.do("POST", "/api/v1/toolsets/validate", "{}", "Content-Type", sent); r.StatusCode != 200 {
			t.Errorf("%q was refused: %s", sent, r)
		}
	}
}

func TestProblemMethodNotAllowed(t *testing.T) {
	f := start(t, nil)
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/api/v1/toolsets", "GET"}, {"PUT", "/api/v1/toolsets/prometheus", "GET"}, {"POST", "/health", "GET"},
		{"GET", "/api/v1/discover", "POST"}, {"GET", "/api/v1/toolsets/validate", "POST"},
		{"BREW", "/ready/", "GET"},
	} {
		r := f.do(c.method, c.path, "")
		wantProblem(t, r, 405, "method-not-allowed")
		if !strings.Contains(r.Header.Get("Allow"), c.allow) {
			t.Errorf("%s %s: Allow %q does not name %s", c.method, c.path, r.Header.Get("Allow"), c.allow)
		}
	}
}

func TestProblemUnavailableDuringShutdown(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = time.Second })
	done := f.stop()
	r := f.eventually("GET", "/ready", 503)
	d := wantProblem(t, r, 503, "service-unavailable")
	if r.Header.Get("Retry-After") == "" || !strings.Contains(d.Detail, "shutting down") {
		t.Errorf("no Retry-After or reason: %s", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProblemRequiredFields(t *testing.T) {
	f := start(t, nil)
	// wantProblem checks that every member is there and none besides.
	d := wantProblem(t, f.do("GET", "/no/such/path?x=1", ""), 404, "not-found")
	if d.Title != "Not Found" || d.Instance != "/no/such/path" || d.Errors != nil {
		t.Errorf("%+v", d)
	}
	d = wantProblem(t, f.do("GET", "/api/v1/toolsets?healthy=maybe&colour=red&type=", ""), 400, "validation-error")
	if len(d.Errors) != 3 || d.Errors[0].Field != "healthy" || d.Errors[1].Field != "colour" || d.Errors[2].Field != "type" || !strings.Contains(d.Detail, "3 mistakes") {
		t.Errorf("every mistake should be named: %+v", d)
	}
	d = wantProblem(t, f.do("GET", "/api/v1/services?enabled=", ""), 400, "validation-error")
	if len(d.Errors) != 1 || d.Errors[0].Field != "enabled" || d.Detail != "The query has a mistake; see errors." {
		t.Errorf("one mistake: %+v", d)
	}
}

func TestProblemTypeURI(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxRequestBody = 1000; o.Limits.MaxHeaderBytes = 4096 })
	big := strings.Repeat("x", 5000)
	js := []string{"Content-Type", "application/json"}
	for name, c := range map[string]struct {
		status int
		r      *response
	}{
		"validation-error":       {400, f.do("POST", "/api/v1/toolsets/validate", "{", js...)},
		"not-found":              {404, f.do("GET", "/api/v1/toolsets/nothing", "")},
		"method-not-allowed":     {405, f.do("PATCH", "/version", "")},
		"conflict":               {409, f.do("GET", "/api/v1/toolsets/shared", "")},
		"payload-too-large":      {413, f.do("POST", "/api/v1/toolsets/validate", big, js...)},
		"uri-too-long":           {414, f.do("GET", "/"+big, "")},
		"unsupported-media-type": {415, f.do("POST", "/api/v1/toolsets/validate", "")},
		"headers-too-large":      {431, f.do("GET", "/health", "", "X-Big", big)},
	} {
		if d := wantProblem(t, c.r, c.status, name); c.r.Status != strconv.Itoa(c.status)+" "+d.Title {
			t.Errorf("the status line says %q, the title %q", c.r.Status, d.Title)
		}
	}
	d := wantProblem(t, f.do("GET", "/api/v1/toolsets/shared", ""), 409, "conflict")
	if !strings.Contains(d.Detail, "team-a/shared, team-b/shared") {
		t.Errorf("the conflict does not list its toolsets: %s", d.Detail)
	}
	// The metrics port answers in the same way.
	r, err := send(f.metricsURL, "GET", "/nothing", "")
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, r, 404, "not-found")
}

func TestProblemRequestID(t *testing.T) {
	f := start(t, nil)
	long := strings.Repeat("a", 128)
	for _, id := range []string{"x", "trace-42/a:b", long} {
		if d := wantProblem(t, f.do("GET", "/nothing", "", "X-Request-ID", id), 404, "not-found"); d.RequestID != id {
			t.Errorf("request_id %q, sent %q", d.RequestID, id)
		}
		if r := f.do("GET", "/health", "", "X-Request-ID", id); r.Header.Get("X-Request-Id") != id {
			t.Errorf("a success carries %q, sent %q", r.Header.Get("X-Request-Id"), id)
		}
	}
	seen := map[string]bool{}
	for _, id := range []string{"", "", "two words", long + "a", "caf\xc3\xa9", "tab\tbed"} {
		d := wantProblem(t, f.do("GET", "/nothing", "", "X-Request-ID", id), 404, "not-found")
		if d.RequestID == id || seen[d.RequestID] || len(d.RequestID) != 32 {
			t.Errorf("sent %q, got %q", id, d.RequestID)
		}
		seen[d.RequestID] = true
	}
}

// The order of the checks: path, method, media type, size, body.
func TestProblemOrderOfChecks(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxRequestBody = 1000 })
	big := strings.Repeat("x", 5000)
	js := []string{"Content-Type", "application/json"}
	wantProblem(t, f.do("POST", "/nothing", big), 404, "not-found")
	wantProblem(t, f.do("POST", "/health", big), 405, "method-not-allowed")
	wantProblem(t, f.do("POST", "/api/v1/discover", big), 415, "unsupported-media-type")
	wantProblem(t, f.do("POST", "/api/v1/discover", big, js...), 413, "payload-too-large")
	wantProblem(t, f.do("GET", "/health", big), 413, "payload-too-large")
	wantProblem(t, f.do("POST", "/api/v1/discover", "{", js...), 400, "validation-error")
}

// Errors that fasthttp itself would answer in plain text.
func TestProblemFromBelowTheHandlers(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.ReadTimeout = 300 * time.Millisecond })
	for name, request := range map[string]string{
		"bad request line": "NONSENSE\r\n\r\n",
		"no version":       "GET /\r\n\r\n",
		"bad length":       "POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n",
		"bad chunk":        "POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"bad header":       "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
	} {
		c := f.dial()
		c.write(request)
		r := c.read()
		wantProblem(t, r, 400, "validation-error")
		if !r.Close {
			t.Errorf("%s: the connection is kept", name)
		}
	}
	c := f.dial()
	c.write("GET /health HTTP/1.1\r\nHost:") // and no more
	wantProblem(t, c.read(), 408, "request-timeout")
}

// The same on a connection that has been silent for longer than a response may take, so
// that the deadline of the last response has passed.
func TestProblemFromBelowOnAKeptConnection(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.WriteTimeout = time.Second })
	c := f.dial()
	c.write(getReady)
	c.read()
	time.Sleep(1200 * time.Millisecond)
	c.write("NONSENSE\r\n\r\n")
	wantProblem(t, c.read(), 400, "validation-error")
}

func TestProblemConnectionLimit(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxConnections = 2 })
	for range 2 {
		c := f.dial()
		c.write(getReady)
		if r := c.read(); r.StatusCode != 200 {
			t.Fatal(r)
		}
	}
	c := f.dial()
	c.write("GET /some/path HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")
	r := c.read()
	d := wantProblem(t, r, 503, "service-unavailable")
	if r.Header.Get("Retry-After") == "" || !r.Close || d.RequestID != "mine" || d.Instance != "/some/path" {
		t.Errorf("%s", r)
	}
}

func TestProblemWhenPanicking(t *testing.T) {
	f := start(t, func(o *options) {
		o.Generate = nil
		o.Discover = nil
	})
	wantProblem(t, f.do("POST", "/api/v1/discover", "", "Content-Type", "application/json"), 503, "service-unavailable")

	g := start(t, func(o *options) {
		o.Generate = panicking
	})
	d := wantProblem(t, g.do("POST", "/api/v1/toolsets/generate", "", "Content-Type", "application/json"), 500, "internal-error")
	if strings.Contains(d.Detail, "secret") {
		t.Errorf("the cause leaked: %s", d.Detail)
	}
	if n := g.logs.FilterMessageSnippet("panicked").Len(); n != 1 {
		t.Errorf("%d log lines of the panic", n)
	}
	if r := g.do("GET", "/health", ""); r.StatusCode != http.StatusOK {
		t.Errorf("the server did not survive: %s", r)
	}
}
