package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// patience bounds every wait of a test. It never has to pass for a test to succeed.
const patience = testenv.Patience

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is a server that counts its requests.
func target(t *testing.T) (address string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("X-Pod", "a")
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), requests
}

// startAgent serves an agent.
func startAgent(t *testing.T, a http.Handler) *httptest.Server {
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return s
}

func config(address string) load.Config {
	return load.Config{
		Address: address, PodHeader: "X-Pod", DialTimeout: patience, ResponseTimeout: patience,
		Clients: []load.Client{{Class: record.Blind, Rate: 200, Connections: 2}, {Class: record.New, Rate: 20}},
		Targets: []load.Target{{Path: "/"}},
	}
}

var dial = new(net.Dialer).DialContext

// A collector keeps what a session emits.
type collector struct {
	mu   sync.Mutex
	all  []record.Request
	more chan int // their number
}

func newCollector() *collector { return &collector{more: make(chan int, 1)} }

func (c *collector) add(r record.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r)
	select {
	case <-c.more:
	default:
	}
	c.more <- len(c.all)
}

// wait waits until there are n requests.
func (c *collector) wait(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case there := <-c.more:
			if there >= n {
				return
			}
		case <-timeout:
			t.Fatalf("fewer than %d requests came", n)
		}
	}
}

func begin(t *testing.T, s *httptest.Server, c load.Config, emit func(record.Request)) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	session, err := Start(ctx, dial, s.Listener.Addr().String(), c, emit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-session.Done() })
	return session
}

func stop(t *testing.T, s *Session) (load.Summary, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.Stop(ctx)
}

func waitDone(t *testing.T, s *Session) error {
	t.Helper()
	select {
	case <-s.Done():
		return s.Err()
	case <-time.After(2 * patience):
		t.Fatal("the session did not end")
		return nil
	}
}

// The requests of a run arrive while it goes on, all of them and unchanged.
func TestRun(t *testing.T) {
	address, requests := target(t)
	s := startAgent(t, New())
	for range 2 { // one after the other
		requests.Store(0)
		got := newCollector()
		session := begin(t, s, config(address), got.add)
		got.wait(t, 50)
		if err := session.Err(); err != nil {
			t.Fatal(err)
		}
		summary, err := stop(t, session)
		if err != nil {
			t.Fatal(err)
		}
		if len(summary.Clients) != 2 || summary.Clients[0].Sent+summary.Clients[1].Sent != len(got.all) || int(requests.Load()) != len(got.all) {
			t.Errorf("%d requests at the server, %d emitted, %+v", requests.Load(), len(got.all), summary)
		}
		for _, r := range got.all {
			if r.Failed() || r.Pod != "a" || r.Due.IsZero() || r.End.Before(r.Sent) || r.Path != "/" || r.Status != 200 {
				t.Errorf("%+v", r)
			}
		}
		again, err := stop(t, session)
		if err != nil || again.Ended != summary.Ended {
			t.Error("a second stop:", again, err)
		}
	}
}

// While a run goes on there can be no other, and after it there is nothing to stop.
func TestOneRunAtATime(t *testing.T) {
	address, _ := target(t)
	s := startAgent(t, New())
	session := begin(t, s, config(address), func(record.Request) {})
	_, err := Start(context.Background(), dial, s.Listener.Addr().String(), config(address), nil)
	if err == nil || !strings.Contains(err.Error(), "409") || !strings.Contains(err.Error(), "running already") {
		t.Error(err)
	}
	if _, err := stop(t, session); err != nil {
		t.Error(err)
	}
	resp, err := http.Post(s.URL+"/stop", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusConflict {
		t.Error("stop without a run:", resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A bad configuration is refused with an explanation.
func TestBadConfiguration(t *testing.T) {
	s := startAgent(t, New())
	for body, want := range map[string]string{
		`{"adress":"a:1"}`:  `unknown field "adress"`,
		`{"address":"a:1"}`: "clients is empty",
		`{`:                 "not right",
		`{"address":"` + strings.Repeat("x", 9<<20) + `"}`: "too large",
	} {
		resp, err := http.Post(s.URL+"/run", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 400 || !strings.Contains(string(text), want) {
			t.Errorf("%.40s: %s %q %v; want %q", body, resp.Status, text, err, want)
		}
	}
	if _, err := Start(context.Background(), dial, "127.0.0.1:1", load.Config{}, nil); err == nil || !strings.Contains(err.Error(), "clients is empty") {
		t.Error(err)
	}
	resp, err := http.Get(s.URL + "/healthz")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

// When the harness is gone, the load stops, and the agent can be used again.
func TestHarnessGone(t *testing.T) {
	address, requests := target(t)
	s := startAgent(t, New())
	ctx, cancel := context.WithCancel(context.Background())
	got := newCollector()
	session, err := Start(ctx, dial, s.Listener.Addr().String(), config(address), got.add)
	if err != nil {
		t.Fatal(err)
	}
	got.wait(t, 10)
	cancel()
	if err := waitDone(t, session); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	deadline := time.Now().Add(patience)
	for {
		next, err := Start(context.Background(), dial, s.Listener.Addr().String(), config(address), func(record.Request) {})
		if err == nil {
			if _, err := stop(t, next); err != nil {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the agent was never free again:", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// There is one run at a time, so the first one has ended.
	before := requests.Load()
	time.Sleep(50 * time.Millisecond)
	if after := requests.Load(); after != before {
		t.Errorf("%d requests after the end", after-before)
	}
}

// When the agent is gone, the session ends in an error, with and without a stop.
func TestAgentGone(t *testing.T) {
	address, _ := target(t)
	for _, asked := range []bool{false, true} {
		s := startAgent(t, New())
		got := newCollector()
		session := begin(t, s, config(address), got.add)
		got.wait(t, 10)
		s.CloseClientConnections()
		if !asked {
			if err := waitDone(t, session); err == nil || !strings.Contains(err.Error(), "not complete") {
				t.Error(err)
			}
		}
		s.Close()
		if _, err := stop(t, session); err == nil {
			t.Error("half a run passes for a whole one")
		}
	}
}

// An agent that is aborted makes the run fail, and says why.
func TestAbort(t *testing.T) {
	address, _ := target(t)
	a := New()
	a.Abort(errors.New("nothing runs")) // no effect
	got := newCollector()
	session := begin(t, startAgent(t, a), config(address), got.add)
	got.wait(t, 10)
	a.Abort(errors.New("the node is drained"))
	if err := waitDone(t, session); err == nil || !strings.Contains(err.Error(), "the node is drained") {
		t.Error(err)
	}
}

// The reason arrives at once, not when the last slow request has ended.
func TestAbortIsToldAtOnce(t *testing.T) {
	arrived, ended := make(chan bool, 1000), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- true; <-ended }))
	defer server.Close()
	a := New()
	c := config(server.Listener.Addr().String())
	c.Clients[1].MaxInFlight = 5
	session := begin(t, startAgent(t, a), c, func(record.Request) {})
	<-arrived
	a.Abort(errors.New("the node is drained"))
	err := waitDone(t, session) // while requests are in flight
	close(ended)
	if err == nil || !strings.Contains(err.Error(), "the node is drained") {
		t.Error(err)
	}
}

// An error of the load is the error of the session.
func TestLoadFailed(t *testing.T) {
	session := begin(t, startAgent(t, scripted(`{"error":"too many open files"}`)), config("127.0.0.1:1"), func(record.Request) {})
	if err := waitDone(t, session); err == nil || !strings.Contains(err.Error(), "too many open files") {
		t.Error(err)
	}
}

// scripted is an agent that answers a run with fixed lines: once it is stopped, or at
// once if the first begins with {"error".
func scripted(lines ...string) http.Handler {
	stopped := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) { close(stopped) })
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = http.NewResponseController(w).Flush()
		if !strings.HasPrefix(lines[0], `{"error"`) {
			select {
			case <-stopped:
			case <-req.Context().Done():
			}
		}
		fmt.Fprint(w, strings.Join(lines, "\n"))
	})
	return mux
}

// An incomplete run is never taken for a complete one.
func TestIncompleteRuns(t *testing.T) {
	one, err := json.Marshal(record.Request{Class: record.New, Outcome: record.OK})
	if err != nil {
		t.Fatal(err)
	}
	summary := `{"summary":{"clients":[{"class":"new","sent":2}]}}`
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"whole":       {[]string{string(one), "", string(one), summary}, ""},
		"one missing": {[]string{string(one), summary}, "it sent 2 requests and told us of 1"},
		"no summary":  {[]string{string(one), string(one), ""}, "without a summary"},
		"cut":         {[]string{string(one), string(one), summary[:20]}, "no line of its protocol"},
		"garbage":     {[]string{"hello"}, "no line of its protocol"},
		"too long":    {[]string{strings.Repeat(" ", maxLine+1)}, "too long"},
		"an error":    {[]string{string(one), `{"error":"no files"}`}, "no files"},
	} {
		t.Run(name, func(t *testing.T) {
			session := begin(t, startAgent(t, scripted(test.lines...)), config("127.0.0.1:1"), func(record.Request) {})
			_, err := stop(t, session)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}

// A summary that comes without a stop is that of a run which ended too early.
func TestUnaskedSummary(t *testing.T) {
	h := http.NewServeMux()
	h.HandleFunc("POST /run", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"summary":{}}`) })
	session := begin(t, startAgent(t, h), config("127.0.0.1:1"), func(record.Request) {})
	if err := waitDone(t, session); err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Error(err)
	}
}

// Stop returns when its context ends.
func TestStopInTime(t *testing.T) {
	h := http.NewServeMux()
	h.HandleFunc("POST /stop", func(http.ResponseWriter, *http.Request) {})
	h.HandleFunc("POST /run", func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	})
	session := begin(t, startAgent(t, h), config("127.0.0.1:1"), func(record.Request) {})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := session.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
