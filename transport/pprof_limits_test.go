package transport_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A client that goes away, or stops reading, does not keep others from tracing.
func TestTraceOfClientThatIsGone(t *testing.T) {
	f := profiled(t, func(o *options) { o.Limits.WriteTimeout = time.Second })
	for _, gone := range []bool{true, false} {
		c, err := net.Dial("tcp", strings.TrimPrefix(f.metricsURL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET /debug/pprof/trace?seconds=300 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		f.within(taking)
		if gone {
			c.Close() //nolint:errcheck // that is the test
		} else {
			defer c.Close() //nolint:errcheck // the end of a test
			// Fills the buffers of the connection.
			stop := make(chan struct{})
			var work sync.WaitGroup
			work.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
						go func() {}()
					}
				}
			})
			defer work.Wait()
			defer close(stop)
		}
		for end := time.Now().Add(60 * time.Second); f.get("/debug/pprof/trace?seconds=1").StatusCode != 200; {
			if time.Now().After(end) {
				t.Fatalf("gone %v: its trace goes on", gone)
			}
		}
	}
}

// The number of profiles that wait is bounded.
func TestProfilesAtATime(t *testing.T) {
	f := profiled(t, nil)
	type result struct {
		r   *response
		err error
	}
	answers := make(chan result, 4)
	for range cap(answers) {
		go func() {
			r, err := send(f.metricsURL, "GET", "/debug/pprof/heap?seconds=300", "")
			answers <- result{r, err}
		}()
	}
	for end := time.Now().Add(20 * time.Second); ; {
		r := f.get("/debug/pprof/cmdline")
		if r.StatusCode != 200 {
			wantProblem(t, r, 503, "service-unavailable")
			break
		}
		if time.Now().After(end) {
			t.Fatal("a fifth was taken")
		}
	}
	watch := testenv.Start()
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for range cap(answers) {
		a := <-answers
		if a.err == nil {
			wantProblem(t, a.r, 503, "service-unavailable")
			continue
		}
		if watch.Elapsed() < 2*time.Second {
			t.Error(a.err)
			continue
		}
		watch.Within(t, 2*time.Second, "a profile that ends with the server is answered, before the metrics port is closed: "+a.err.Error())
	}
}

// With --auth-metrics, profiles need another right than the metrics.
func TestProfilesAreAuthorized(t *testing.T) {
	r := newRegistry()
	r.may["prometheus"] = []string{"get /metrics"}
	r.may["developer"] = []string{"get /dynamic-toolset/debug/pprof/*"}
	f := authorizing(t, r, func(o *options) { o.Pprof, o.Auth.Metrics = true, true })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=1", "/debug/pprof/symbol", "/debug/pprof/cmdline", "/debug/pprof/nosuch"} {
		wantProblem(t, f.get(path), 401, "unauthorized")
		d := wantProblem(t, f.get(path, "Authorization", "Bearer prometheus.x"), 403, "forbidden")
		if !strings.Contains(d.Detail, "may not get /dynamic-toolset/debug/pprof/*") {
			t.Errorf("%s: %+v", path, d)
		}
		if a := f.get(path, "Authorization", "Bearer developer.x"); a.StatusCode != 200 && !strings.HasSuffix(path, "nosuch") {
			t.Errorf("%s: %s", path, a)
		}
	}
	wantProblem(t, f.post("/debug/pprof/symbol", "0x1"), 401, "unauthorized")
	if a, err := send(f.metricsURL, "POST", "/debug/pprof/symbol", "0x1", "Authorization", "Bearer developer.x"); err != nil || a.StatusCode != 200 || !bytes.HasPrefix(a.body, []byte("num_symbols")) {
		t.Error(a, err)
	}
	r.set(func() {
		if slices.Contains(r.actions, "post /dynamic-toolset/debug/pprof/*") {
			t.Error("a symbol needs the right to post")
		}
	})
}
