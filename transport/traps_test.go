package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// These tests rebuild what loses requests in other servers. Each fails if this server has
// the same weakness.

// A request that arrives on a kept connection during the propagation delay is answered,
// and its response ends the connection.
func TestTrapKeptConnectionDuringDelay(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 600 * time.Millisecond })
	c := f.dial()
	c.write(getList)
	if r := c.read(); r.StatusCode != 200 || r.Close {
		t.Fatalf("before the shutdown: %s, close=%v", r, r.Close)
	}
	done := f.stop()
	c.write(getList)
	if r := c.read(); r.StatusCode != 200 || !r.Close {
		t.Errorf("during the delay: %s, close=%v", r, r.Close)
	}
	if _, err := c.tryRead(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the connection goes on: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Requests arrive just when idle connections are closed: each client keeps its connection
// silent, and sends as soon as the drain is logged. A request that was written before the
// server's end of the connection was sent must be answered. A client that has seen the
// end would not have sent.
func TestTrapIdleConnectionsAtTheWorstMoment(t *testing.T) {
	const clients = 60
	f := start(t, func(o *options) {
		o.PropagationDelay = 200 * time.Millisecond
		o.IdleGrace = 30 * time.Second // opening all of them takes time on a busy machine
		o.DrainTimeout = time.Minute
	})
	var conns []*rawClient
	for range clients {
		c := f.dial()
		c.write(getList)
		c.read()
		conns = append(conns, c)
	}
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	// They are idle since before the signal, but the drain must not close them yet.
	var wg sync.WaitGroup
	var lost atomic.Int32
	for i, c := range conns {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 2 * time.Millisecond) // far within the grace
			if _, err := io.WriteString(c.Conn, getList); err != nil {
				lost.Add(1)
				return
			}
			if r, err := c.tryRead(); err != nil || r.StatusCode != 200 || !r.Close {
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	if n := lost.Load(); n > 0 {
		t.Errorf("%d of %d requests on idle connections were lost", n, clients)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Clients connect without pause until they are refused. No connection that the kernel has
// accepted may be reset or dropped.
func TestTrapAcceptQueue(t *testing.T) {
	for round := range 3 {
		f := start(t, func(o *options) {
			o.PropagationDelay = 50 * time.Millisecond
			// On a busy machine, time passes between a client's connect and its request.
			o.IdleGrace, o.DrainTimeout, o.Limits.ReadTimeout = 20*time.Second, time.Minute, 20*time.Second
		})
		addr := f.server.Addr()
		var lost, answered atomic.Int64
		var first atomic.Pointer[string]
		halt := make(chan struct{})
		var wg sync.WaitGroup
		clients := 100
		if f.tls != nil {
			clients = 30 // handshakes keep the machine busy
		}
		for range clients {
			wg.Go(func() {
				for {
					select {
					case <-halt:
						return
					default:
					}
					// A client repeats a SYN that the filter has dropped after a second;
					// by then the test is over.
					c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
					if err != nil {
						return // refused or ignored: routed elsewhere
					}
					if f.tls != nil {
						c = tls.Client(c, f.tls) // the request does the handshake
					}
					if err := oneRequest(c); err != nil {
						lost.Add(1)
						s := err.Error()
						first.CompareAndSwap(nil, &s)
					} else {
						answered.Add(1)
					}
				}
			})
		}
		for end := time.Now().Add(20 * time.Second); answered.Load() < 100 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if err := <-f.stop(); err != nil {
			t.Error(err)
		}
		close(halt)
		wg.Wait()
		if n := lost.Load(); n > 0 {
			t.Errorf("round %d: %d of %d accepted connections were lost, first: %s", round, n, n+answered.Load(), *first.Load())
		}
		if answered.Load() < 100 {
			t.Errorf("round %d: only %d requests: the test shows nothing", round, answered.Load())
		}
	}
}

func oneRequest(c net.Conn) error {
	defer c.Close()                            //nolint:errcheck // it was only read
	c.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the read tells
	if _, err := io.WriteString(c, getList); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	return nil
}

// Every pipelined request is answered. Only the last response ends the connection, since
// a client does not expect more after that.
func TestTrapPipelined(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 500 * time.Millisecond })
	early := f.dial()
	early.write(getReady)
	early.read()
	done := f.stop()
	const n = 16
	for name, c := range map[string]*rawClient{"kept": early, "new": f.dial()} {
		c.write(strings.Repeat(getList, n))
		for i := range n {
			r := c.read()
			if r.StatusCode != 200 {
				t.Fatalf("%s, request %d: %s", name, i, r)
			}
			if r.Close != (i == n-1) {
				t.Errorf("%s, request %d of %d: close=%v", name, i+1, n, r.Close)
			}
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A request that was half sent before the drain is waited for.
func TestTrapHalfSent(t *testing.T) {
	f := start(t, func(o *options) { o.IdleGrace = 50 * time.Millisecond })
	fresh, kept := f.dial(), f.dial()
	kept.write(getReady)
	kept.read()
	for _, c := range []*rawClient{fresh, kept} {
		c.write("POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: appli")
	}
	f.inFlight(2)
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	time.Sleep(400 * time.Millisecond) // much longer than the idle grace
	for _, c := range []*rawClient{fresh, kept} {
		c.write("cation/json\r\nContent-Length: 2\r\n\r\n{")
	}
	time.Sleep(100 * time.Millisecond)
	for _, c := range []*rawClient{fresh, kept} {
		c.write("}")
		if r := c.read(); r.StatusCode != 200 || !r.Close {
			t.Errorf("a half-sent request: %s, close=%v", r, r.Close)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A watcher gets a goodbye and the end of its stream, not a broken one.
func TestTrapWatcher(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay = 2 * time.Second })
	c := f.dial()
	c.write("GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	if e := readEvent(t, lines); e.name != "snapshot" || !strings.Contains(e.data, `"total":4`) {
		t.Fatalf("first event: %+v", e)
	}
	begin := time.Now()
	done := f.stop()
	f.catalogue.Upsert(svc("late", "loki", "loki"))
	if e := readEvent(t, lines); e.name != "change" || !strings.Contains(e.data, `"added"`) {
		t.Errorf("a change during the delay: %+v", e)
	}
	if e := readEvent(t, lines); e.name != "goodbye" || time.Since(begin) < 2*time.Second {
		t.Errorf("%+v after %s", e, time.Since(begin))
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after the goodbye: %q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type event struct{ name, id, data string }

// readEvent reads one server-sent event, comments skipped.
func readEvent(t *testing.T, r *bufio.Reader) event {
	t.Helper()
	var e event
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream broke: %v", err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data += value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
}

// Watchers see each change once, in order, and can resume.
func TestWatchResumes(t *testing.T) {
	f := start(t, nil)
	watch := func(lastID string) *bufio.Reader {
		c := f.dial()
		header := ""
		if lastID != "" {
			header = "Last-Event-ID: " + lastID + "\r\n"
		}
		c.write("GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n" + header + "\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(resp.Body)
	}
	w := watch("")
	snapshot := readEvent(t, w)
	const n = 20
	var ids []string
	for i := range n {
		f.catalogue.Upsert(svc("ns", fmt.Sprintf("b%02d", i), "zipkin"))
		e := readEvent(t, w)
		if e.name != "change" || !strings.Contains(e.data, fmt.Sprintf("b%02d", i)) {
			t.Fatalf("change %d: %+v", i, e)
		}
		ids = append(ids, e.id)
	}
	r := watch(ids[4])
	for i := 5; i < n; i++ {
		if e := readEvent(t, r); e.id != ids[i] {
			t.Fatalf("resumed after 4: got %+v, want id %s", e, ids[i])
		}
	}
	if e := readEvent(t, watch(snapshot.id)); e.id != ids[0] {
		t.Errorf("resumed after the snapshot: %+v", e)
	}
	for _, id := range []string{"other-3", "", strings.Repeat("9", 500)} {
		if e := readEvent(t, watch(id)); e.name != "snapshot" {
			t.Errorf("an unknown id %q: %+v", id, e)
		}
	}
	f.catalogue.Replace([]*corev1.Service{})
	if e := readEvent(t, w); e.name != "change" || !strings.Contains(e.data, `"removed"`) {
		t.Errorf("%+v", e)
	}
}

// A connection that never sends anything is closed silently: a 408 would be taken for the
// answer to a request that is on its way.
func TestIdleConnectionEndsSilently(t *testing.T) {
	f := start(t, func(o *options) {
		o.Limits.ReadTimeout = 200 * time.Millisecond
		o.Limits.IdleTimeout = 200 * time.Millisecond
	})
	fresh, kept := f.dial(), f.dial()
	kept.write(getReady)
	kept.read()
	for _, c := range []*rawClient{fresh, kept} {
		if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
			t.Errorf("got %q, %v", b, err)
		}
	}
}

// Old connections end with a regular response, so that clients spread over new replicas.
func TestMaxConnectionAge(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxConnectionAge = 200 * time.Millisecond })
	begin := time.Now()
	c := f.dial()
	for {
		c.write(getList)
		r := c.read()
		if r.StatusCode != 200 {
			t.Fatal(r)
		}
		if r.Close {
			if age := time.Since(begin); age < 180*time.Millisecond {
				t.Errorf("ended after %s", age)
			}
			return
		}
		if time.Since(begin) > testenv.Patience {
			t.Fatal("the connection never ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A stopping server must not wait for background work that never ends.
func TestShutdownEndsBackgroundWork(t *testing.T) {
	ended := make(chan struct{})
	f := start(t, func(o *options) {
		o.Discover = func(ctx context.Context) error { <-ctx.Done(); close(ended); return ctx.Err() }
	})
	f.do("POST", "/api/v1/discover", "", "Content-Type", "application/json")
	if err := <-f.stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	default:
		t.Error("a discovery outlives the server")
	}
}
