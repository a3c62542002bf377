package transport_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// profiled starts a server with profiles.
func profiled(t *testing.T, change func(*options)) *fixture {
	t.Helper()
	return start(t, func(o *options) {
		o.Pprof = true
		if change != nil {
			change(o)
		}
	})
}

// get asks the metrics port.
func (f *fixture) get(path string, header ...string) *response {
	f.t.Helper()
	r, err := send(f.metricsURL, "GET", path, "", header...)
	if err != nil {
		f.t.Fatalf("GET %s: %v", path, err)
	}
	return r
}

// goTool runs a tool of Go and returns what it prints.
func goTool(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool"}, args...)...)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir(), "PPROF_NO_BROWSER=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go tool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The real tools accept what the service sends.
func TestProfilesForGoTool(t *testing.T) {
	f := profiled(t, nil)
	end := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { // so that there is something to see
		for {
			select {
			case <-end:
				return
			default:
				send(f.url, "GET", "/api/v1/toolsets", "") //nolint:errcheck // load
			}
		}
	})
	defer busy.Wait()
	defer close(end)
	for path, want := range map[string]string{
		"profile?seconds=1": "Type: cpu",
		"heap":              "inuse_space", "heap?gc=1": "inuse_space", "allocs": "alloc_space",
		"allocs?seconds=1": "Duration: ", // a difference, of a time
		"goroutine":        "runtime.gopark", "block": "Type: delay", "mutex": "Type: delay", "threadcreate": "Type: threadcreate",
	} {
		if out := goTool(t, "pprof", "-top", f.metricsURL+"/debug/pprof/"+path); !strings.Contains(out, want) || !strings.Contains(out, "flat%") {
			t.Errorf("%s: %s", path, out)
		}
	}
	file := filepath.Join(t.TempDir(), "trace")
	r := f.get("/debug/pprof/trace?seconds=1")
	if err := os.WriteFile(file, r.body, 0o600); err != nil || r.StatusCode != 200 {
		t.Fatal(err, r.Status)
	}
	if out := goTool(t, "trace", "-d=parsed", file); !strings.Contains(out, "GoCreate") && !strings.Contains(out, "GoID") {
		t.Errorf("the trace has no goroutine: %.1000s", out)
	}
}

func TestProfilesAreThoseOfNetHTTP(t *testing.T) {
	f := profiled(t, nil)
	const binary, text = "application/octet-stream", "text/plain; charset=utf-8"
	for path, c := range map[string]struct{ contentType, body string }{
		"/debug/pprof/":                  {"text/html; charset=utf-8", "goroutine?debug=1"},
		"/debug/pprof/goroutine?debug=2": {text, "goroutine "},
		"/debug/pprof/heap?debug=1":      {text, "heap profile: "},
		"/debug/pprof/heap?seconds=":     {binary, "\x1f\x8b"},
		"/debug/pprof/heap/":             {binary, "\x1f\x8b"},
		"/debug/pprof/cmdline":           {text, os.Args[0]},
		"/debug/pprof/symbol":            {text, "num_symbols: 1\n"},
		"/debug/pprof/profile?seconds=1": {binary, "\x1f\x8b"},
		"/debug/pprof/trace?seconds=1":   {binary, "go 1."},
	} {
		r := f.get(path)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != c.contentType || !strings.Contains(string(r.body), c.body) ||
			r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %s %v %.100q", path, r.Status, r.Header, r.body)
		}
		if disposition := r.Header.Get("Content-Disposition"); (disposition != "") != (c.contentType == binary) {
			t.Errorf("%s: Content-Disposition %q", path, disposition)
		}
	}
	// The links of the index are relative to its path.
	if r := f.redirect("/debug/pprof"); r.StatusCode != 301 || r.Header.Get("Location") != "/debug/pprof/" {
		t.Error(r)
	}
	pc := reflectedPC()
	for _, r := range []*response{f.get("/debug/pprof/symbol?" + pc), f.post("/debug/pprof/symbol", pc)} {
		if r.StatusCode != 200 || !strings.Contains(string(r.body), "reflectedPC") {
			t.Error(r)
		}
	}
	// A HEAD takes no profile, which would last a minute.
	begin := testenv.Start()
	for _, path := range []string{"profile?seconds=60", "trace?seconds=60", "heap?seconds=60", "heap", "cmdline", ""} {
		r, err := send(f.metricsURL, "HEAD", "/debug/pprof/"+path, "")
		if err != nil || r.StatusCode != 200 || len(r.body) > 0 {
			t.Error(path, r, err)
		}
	}
	begin.Within(t, 30*time.Second, "the HEADs are answered")
}

// reflectedPC returns a program counter within itself, as text.
func reflectedPC() string {
	pc, _, _, _ := runtime.Caller(0)
	return "0x" + strconv.FormatUint(uint64(pc), 16)
}

func (f *fixture) post(path, body string) *response {
	f.t.Helper()
	r, err := send(f.metricsURL, "POST", path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// redirect asks the metrics port and follows no redirect.
func (f *fixture) redirect(path string) *response {
	f.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: f.tls}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(f.metricsURL + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // it is empty
	return &response{Response: r}
}

func TestProfilesAreOffByDefault(t *testing.T) {
	f := start(t, nil)
	for _, path := range []string{"/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/symbol"} {
		wantProblem(t, f.get(path), 404, "not-found")
	}
	if n := runtime.SetMutexProfileFraction(-1); n != 0 {
		t.Errorf("one in %d contentions is noted", n)
	}
	on := profiled(t, nil)
	if n := runtime.SetMutexProfileFraction(-1); n == 0 {
		t.Error("no contention is noted")
	}
	wantProblem(t, on.do("GET", "/debug/pprof/heap", ""), 404, "not-found") // never on the API port
	if err := on.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := runtime.SetMutexProfileFraction(-1); n != 0 {
		t.Errorf("after the server's end one in %d contentions is noted", n)
	}
}

// Mistakes that net/http/pprof would answer in plain text, or replace by a default.
func TestProfileProblems(t *testing.T) {
	f := profiled(t, nil)
	for path, field := range map[string]string{
		"profile?seconds=x": "seconds", "profile?seconds=0": "seconds", "profile?seconds=-1": "seconds", "profile?seconds=301": "seconds", "profile?seconds=1e1": "seconds",
		"profile?seconds=99999999999999999999": "seconds", "profile?seconds=1&seconds=1": "seconds", "profile?second=1": "second", "profile?debug=3": "debug",
		"trace?seconds=0.5": "seconds", "trace?seconds=NaN": "seconds", "heap?seconds=x": "seconds", "heap?debug=3": "debug", "heap?debug=yes": "debug",
		"heap?gc=true": "gc", "goroutine?x=%00": "x",
	} {
		d := wantProblem(t, f.get("/debug/pprof/"+path), 400, "validation-error")
		if len(d.Errors) != 1 || d.Errors[0].Field != field {
			t.Errorf("%s: %+v", path, d)
		}
	}
	if d := wantProblem(t, f.get("/debug/pprof/heap?seconds=301&debug=9"), 400, "validation-error"); len(d.Errors) != 2 || !strings.Contains(d.Errors[0].Message, "from 1 to 300") {
		t.Errorf("%+v", d)
	}
	// The text of net/http/pprof, in a problem document.
	if d := wantProblem(t, f.get("/debug/pprof/heap?seconds=1&debug=1"), 400, "validation-error"); !strings.Contains(d.Detail, "incompatible") {
		t.Errorf("%+v", d)
	}
	if d := wantProblem(t, f.get("/debug/pprof/nosuch"), 404, "not-found"); !strings.Contains(d.Detail, `"nosuch"`) {
		t.Errorf("%+v", d)
	}
	for _, path := range []string{"heap%2f..%2fcmdline", "cmdlinex", "heap/x"} {
		wantProblem(t, f.get("/debug/pprof/"+path), 404, "not-found")
	}
	wantProblem(t, f.post("/debug/pprof/heap", ""), 405, "method-not-allowed")
	wantProblem(t, f.post("/debug/pprof/symbol", strings.Repeat("x", 2<<20)), 413, "payload-too-large")
}

// asking sends a request and returns a channel that receives the answer.
func (f *fixture) asking(path string) <-chan *response {
	answer := make(chan *response, 1)
	go func() {
		r, err := send(f.metricsURL, "GET", path, "")
		if err != nil {
			f.t.Errorf("%s: %v", path, err)
		}
		answer <- r
	}()
	return answer
}

// within waits until a goroutine of the process, which is client and server, is in this
// function.
func (f *fixture) within(function string) {
	f.t.Helper()
	for end := time.Now().Add(testenv.Patience); ; {
		if strings.Contains(string(f.get("/debug/pprof/goroutine?debug=2").body), function+"(") {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("nobody came to %s", function)
		}
	}
}

// taking is the function that runs while a CPU profile or trace is taken, and comparing
// the one that runs while a difference of two profiles is.
const taking, comparing = "profiles.(*Profiler).wait", "pprof.handler.serveDeltaProfile"

// A profile may take longer than a response, and only one is taken at a time.
func TestLongProfiles(t *testing.T) {
	f := profiled(t, func(o *options) { o.Limits.WriteTimeout = 2 * time.Second })
	for _, path := range []string{"/debug/pprof/profile?seconds=6", "/debug/pprof/trace?seconds=6"} {
		answer := f.asking(path)
		f.within(taking)
		r := f.get("/debug/pprof/profile?seconds=1")
		wantProblem(t, r, 409, "conflict")
		if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 1 || s > 6 {
			t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
		}
		wantProblem(t, f.get("/debug/pprof/trace"), 409, "conflict")
		if r := f.get("/debug/pprof/heap"); r.StatusCode != 200 {
			t.Errorf("meanwhile: %s", r)
		}
		if r := <-answer; r == nil || r.StatusCode != 200 || len(r.body) == 0 {
			t.Errorf("%s: %v", path, r)
		}
	}
	if r := f.get("/debug/pprof/profile?seconds=1"); r.StatusCode != 200 {
		t.Errorf("afterwards: %s", r)
	}
}

// A shutdown ends a profile or trace early, and it is complete. A kind that can't end
// early is answered with an error.
func TestShutdownEndsProfiles(t *testing.T) {
	for _, path := range []string{"profile", "trace", "heap"} {
		f := profiled(t, nil)
		answer := f.asking("/debug/pprof/" + path + "?seconds=300")
		f.within(map[string]string{"profile": taking, "trace": taking, "heap": comparing}[path])
		done := f.stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(testenv.Patience):
			t.Fatalf("%s: the shutdown hangs", path)
		}
		r := <-answer
		switch {
		case r == nil:
		case path == "heap":
			wantProblem(t, r, 503, "service-unavailable")
		case r.StatusCode != 200:
			t.Errorf("%s: %s", path, r)
		default:
			file := filepath.Join(t.TempDir(), path)
			if err := os.WriteFile(file, r.body, 0o600); err != nil {
				t.Fatal(err)
			}
			if path == "trace" {
				goTool(t, "trace", "-d=parsed", file)
			} else if out := goTool(t, "pprof", "-top", file); !strings.Contains(out, "Duration: ") {
				t.Error(out)
			}
		}
	}
}
