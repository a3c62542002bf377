package transport_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

func panicking(context.Context) (string, error) { panic("a secret cause") }

// stop starts the shutdown and returns a channel that receives its result.
func (f *fixture) stop() <-chan error {
	done := make(chan error, 1)
	go func() { done <- f.server.Shutdown(context.Background()) }()
	for f.logs.FilterMessageSnippet("Shutdown flag set").Len() == 0 {
		time.Sleep(time.Millisecond)
	}
	return done
}

// eventually repeats a request until the answer has this status.
func (f *fixture) eventually(method, path string, status int) *response {
	f.t.Helper()
	for end := time.Now().Add(testenv.Patience); ; {
		r := f.do(method, path, "")
		if r.StatusCode == status {
			return r
		}
		if time.Now().After(end) {
			f.t.Fatalf("%s %s never answered %d: %s", method, path, status, r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// held makes POST /discover?wait= block until release is called.
func held(o *options) (entered chan struct{}, release func()) {
	entered = make(chan struct{}, 100)
	gate := make(chan struct{})
	o.Discover = func(ctx context.Context) error {
		entered <- struct{}{}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return entered, func() { close(gate) }
}

const postWait = "POST /api/v1/discover?wait=20s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"

func TestShutdownReadinessCoordination(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = time.Second })
	if r := f.do("GET", "/ready", ""); r.StatusCode != 200 {
		t.Fatal(r)
	}
	done := f.stop()
	for _, path := range []string{"/ready", "/health/ready"} {
		wantProblem(t, f.do("GET", path, ""), 503, "service-unavailable")
	}
	// Readiness only: lookups go on, and new connections are accepted.
	r := f.do("GET", "/api/v1/toolsets", "")
	if r.StatusCode != 200 || !r.Close {
		t.Errorf("during the propagation delay: %s, close=%v", r.Status, r.Close)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := send(f.url, "GET", "/ready", ""); err == nil {
		t.Error("the server still answers after the shutdown")
	}
}

func TestShutdownLivenessDuringShutdown(t *testing.T) {
	var entered chan struct{}
	var release func()
	f := start(t, func(o *options) {
		entered, release = held(o)
		o.PropagationDelay = 300 * time.Millisecond
		o.IdleGrace = 5 * time.Second // the probe's connection has not been silent for as long
	})
	probe := f.dial() // opened before the stop, like a kubelet's
	slow := f.dial()
	slow.write(postWait)
	<-entered
	done := f.stop()
	if r := f.do("GET", "/health/live", ""); r.StatusCode != 200 {
		t.Errorf("during the delay: %s", r)
	}
	f.logged("Draining in-flight HTTP connections")
	probe.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if r := probe.read(); r.StatusCode != 200 {
		t.Errorf("during the drain: %s", r)
	}
	release()
	if r := slow.read(); r.StatusCode != 200 {
		t.Error(r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// logged waits for a log line.
func (f *fixture) logged(message string) {
	f.t.Helper()
	for end := time.Now().Add(testenv.Patience); f.logs.FilterMessage(message).Len() == 0; {
		if time.Now().After(end) {
			f.t.Fatalf("%q was not logged", message)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestShutdownInFlightCompletion(t *testing.T) {
	var entered chan struct{}
	var release func()
	f := start(t, func(o *options) { entered, release = held(o) })
	const n = 5
	clients := make([]*rawClient, n)
	for i := range clients {
		clients[i] = f.dial()
		clients[i].write(postWait)
	}
	<-entered // the requests share one discovery
	f.inFlight(n)
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	select {
	case err := <-done:
		t.Fatalf("the shutdown did not wait for %d requests in flight: %v", n, err)
	case <-time.After(300 * time.Millisecond):
	}
	release()
	for _, c := range clients {
		if r := c.read(); r.StatusCode != 200 || !r.Close {
			t.Errorf("in flight across the shutdown: %s, close=%v", r, r.Close)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// inFlight waits until the metric counts n requests.
func (f *fixture) inFlight(n int) {
	f.t.Helper()
	want := "toolset_in_flight_requests " + string(rune('0'+n)) + "\n"
	for end := time.Now().Add(testenv.Patience); ; {
		r, err := send(f.metricsURL, "GET", "/metrics", "")
		if err != nil {
			f.t.Fatal(err)
		}
		if strings.Contains(string(r.body), want) {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("never saw %q", want)
		}
	}
}

func TestShutdownResourceCleanup(t *testing.T) {
	var entered chan struct{}
	var release func()
	var closed atomic.Bool
	f := start(t, func(o *options) {
		entered, release = held(o)
		o.CloseResources = func(context.Context) error { closed.Store(true); return nil }
	})
	c := f.dial()
	c.write(postWait)
	<-entered
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	if closed.Load() {
		t.Error("resources were closed before the drain")
	}
	release()
	c.read()
	if err := <-done; err != nil || !closed.Load() {
		t.Errorf("err %v, resources closed: %v", err, closed.Load())
	}
	// The metrics port is closed as well; goleak finds goroutines that are left.
	if _, err := send(f.metricsURL, "GET", "/metrics", ""); err == nil {
		t.Error("the metrics port still answers")
	}
}

// The wait is a bound of the contract: 5 s, in which everything is answered.
func TestShutdownFiveSecondWait(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 5 * time.Second })
	watch := testenv.Start()
	begin := watch.At()
	done := f.stop()
	last := begin
	for answered := 0; ; answered++ {
		r, err := send(f.url, "GET", "/api/v1/toolsets", "")
		if err != nil || r.StatusCode != 200 {
			break
		}
		last = time.Now()
		time.Sleep(10 * time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	// A client that asks all the time is answered to the end of the wait, unless the
	// machine is busy.
	watch.Judge(t, 5*time.Second-last.Sub(begin), 50*time.Millisecond, "the time before the end of the wait in which no new connection was served")
	if total := time.Since(begin); total < 5*time.Second {
		t.Errorf("the shutdown took %s", total)
	}
}

func TestShutdownTimeoutRespected(t *testing.T) {
	var entered chan struct{}
	f := start(t, func(o *options) {
		entered, _ = held(o) // never released
		o.DrainTimeout = 700 * time.Millisecond
	})
	c := f.dial()
	c.write(postWait)
	<-entered
	begin := testenv.Start()
	err := <-f.stop()
	if !errors.Is(err, shutdown.ErrDrainTimeout) || !strings.Contains(err.Error(), "1 requests in flight") {
		t.Errorf("the shutdown returned %v", err)
	}
	if d := begin.Within(t, 5*time.Second, "the shutdown ends in time"); d < 700*time.Millisecond {
		t.Errorf("it took %s", d)
	}
	if f.logs.FilterMessage("HTTP connections drain timed out").Len() != 1 {
		t.Error("the timeout was not logged")
	}
}

func TestShutdownConcurrent(t *testing.T) {
	f := start(t, nil)
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- f.server.Shutdown(context.Background()) }()
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := f.logs.FilterMessageSnippet("Initiating DD-007").Len(); n != 1 {
		t.Errorf("the sequence ran %d times", n)
	}
	if err := f.server.Shutdown(context.Background()); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestShutdownLogging(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 10 * time.Millisecond })
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	if code := f.server.WaitForSignal(signals); code != 0 {
		t.Errorf("exit code %d", code)
	}
	want := []string{
		"Received shutdown signal",
		"Initiating DD-007 Kubernetes-aware graceful shutdown",
		"Shutdown flag set - readiness probe now returns 503",
		"Waiting for Kubernetes endpoint removal propagation",
		"Endpoint removal propagation complete",
		"Draining in-flight HTTP connections",
		"HTTP connections drained successfully",
		"Closing external resources (Kubernetes client)",
		"DD-007 Kubernetes-aware graceful shutdown complete",
	}
	var got []string
	for _, e := range f.logs.All() {
		if e.Level.String() == "info" {
			got = append(got, e.Message)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("log lines:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSecondSignal(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 500 * time.Millisecond })
	signals := make(chan os.Signal, 4)
	for range 4 {
		signals <- syscall.SIGTERM
	}
	begin := time.Now()
	if code := f.server.WaitForSignal(signals); code != 0 || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("further SIGTERMs: exit code %d after %s", code, time.Since(begin))
	}

	g := start(t, func(o *options) { o.PropagationDelay = time.Second })
	signals <- syscall.SIGINT
	signals <- syscall.SIGINT
	watch := testenv.Start()
	if code := g.server.WaitForSignal(signals); code != 130 {
		t.Errorf("a second SIGINT: exit code %d", code)
	}
	watch.Within(t, 900*time.Millisecond, "a second SIGINT ends the wait")
}

func TestDrainTimeoutExitCode(t *testing.T) {
	var entered chan struct{}
	f := start(t, func(o *options) { entered, _ = held(o); o.DrainTimeout = 300 * time.Millisecond })
	c := f.dial()
	c.write(postWait)
	<-entered
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	if code := f.server.WaitForSignal(signals); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
