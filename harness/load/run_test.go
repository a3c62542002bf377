package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// rightServer is a server of net/http without a defect, for all classes.
func rightServer(t *testing.T, requests *atomic.Int64) string {
	s := httptest.NewServer(rightHandler(t, requests))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func rightHandler(t *testing.T, requests *atomic.Int64) http.Handler {
	goodbye := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("X-Pod", "a")
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		d, err := time.ParseDuration(req.FormValue("for"))
		if err != nil || d < shortest {
			t.Errorf("for %q: %v", req.FormValue("for"), err)
		}
		time.Sleep(d)
		w.Header().Set("X-Pod", "a")
	})
	mux.HandleFunc("/watch", func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		w.Header().Set("X-Pod", "a")
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		fmt.Fprint(w, "id: 1\r\nevent: snapshot\r\ndata: {}\r\n\r\n")
		http.NewResponseController(w).Flush()
		select {
		case <-req.Context().Done():
		case <-goodbye:
		}
	})
	t.Cleanup(func() { close(goodbye) })
	return mux
}

// Against a server without a defect, nothing is lost, and what the schedule requires is
// sent, when it requires it. The server has seen as many requests as there are records.
func TestRightServer(t *testing.T) {
	var requests atomic.Int64
	c := Config{
		Address: rightServer(t, &requests), PodHeader: "X-Pod", ResponseTimeout: patience, DialTimeout: patience,
		Clients: []Client{
			{Class: record.Blind, Rate: 200, Connections: 8}, {Class: record.New, Rate: 50},
			{Class: record.Slow, Rate: 8, Duration: 1500 * time.Millisecond}, {Class: record.Stream, Connections: 3},
		},
		Targets: []Target{
			{Path: "/", ExpectJSON: true},
			{Path: "/slow?for={duration}", Classes: []record.Class{record.Slow}},
			{Path: "/watch", Classes: []record.Class{record.Stream}},
		},
	}
	slow := 0
	all, summary := runUntil(t, c, func(r *record.Request, _ int) bool {
		if r.Class == record.Slow {
			slow++
		}
		return slow >= 4
	})
	if int(requests.Load()) != len(all) {
		t.Errorf("the server has seen %d requests, there are records of %d", requests.Load(), len(all))
	}
	due := map[record.Class][]time.Time{}
	for i := range all {
		r := &all[i]
		if r.Failed() || r.Pod != "a" || r.Inferred {
			t.Errorf("%+v", r)
		}
		due[r.Class] = append(due[r.Class], r.Due)
		switch {
		case r.Class == record.Stream && r.Events != 1:
			t.Errorf("%d events: %+v", r.Events, r)
		case r.Class == record.Slow && r.End.Sub(r.Sent) < shortest:
			t.Errorf("a slow request took %v", r.End.Sub(r.Sent))
		case r.Class == record.New && r.ConnectionUse != 0:
			t.Errorf("%+v", r)
		}
	}
	for _, client := range summary.Clients {
		d := due[client.Class]
		slices.SortFunc(d, time.Time.Compare)
		if client.Class == record.Stream {
			if len(d) != 3 || client.Opened != 3 {
				t.Errorf("%d streams on %d connections; want 3", len(d), client.Opened)
			}
			continue
		}
		for i := range d {
			if want := summary.Began.Add(time.Duration(float64(i) / client.Rate * 1e9)); !d[i].Equal(want) {
				t.Fatalf("%s: request %d was due at %v; want %v", client.Class, i, d[i], want)
			}
		}
		// The last request that was due before the end was sent, and none after it.
		last := summary.Began.Add(time.Duration(float64(len(d)-1) / client.Rate * 1e9))
		next := summary.Began.Add(time.Duration(float64(len(d)) / client.Rate * 1e9))
		if last.After(summary.Ended) || next.Before(summary.Stopped.Add(-20*time.Second)) || client.Skipped != 0 || client.Sent != len(d) {
			t.Errorf("%s: %d requests up to %v, the end was at %v: %+v", client.Class, len(d), last, summary.Stopped, client)
		}
		if client.Class == record.New && client.Opened != client.Sent {
			t.Errorf("%d new connections for %d requests", client.Opened, client.Sent)
		}
		if client.Class == record.Blind && client.Opened != 8 {
			t.Errorf("%d blind connections; want 8", client.Opened)
		}
		if client.Class == record.Slow && (client.Opened >= client.Sent && client.Sent > 12 || client.Early != 0) {
			t.Errorf("slow: %d connections for %d requests, %d early", client.Opened, client.Sent, client.Early)
		}
	}
}

// A stall shows in every request that was due in that time, even those that waited for
// a connection.
func TestStallDelaysEveryRequestDue(t *testing.T) {
	const rate, connections = 200, 4
	const stall = 500 * time.Millisecond
	var once sync.Once
	var mu sync.Mutex
	var from, to time.Time
	s := startServer(t, func(c *serverConn) {
		for {
			if _, _, ok := c.request(); !ok {
				return
			}
			if c.s.requests.Load() > 100 {
				once.Do(func() {
					mu.Lock() // all others wait for this
					from = time.Now()
					time.Sleep(stall)
					to = time.Now()
					mu.Unlock()
				})
			}
			mu.Lock()
			c.say(good)
			mu.Unlock()
		}
	})
	c := config(s.address, record.Blind, rate)
	c.Clients[0].Connections = connections
	all, summary := runUntil(t, c, func(_ *record.Request, n int) bool { return n == 400 })
	seen := 0
	for i := range all {
		r := &all[i]
		if r.Due.Before(from) || !r.Due.Before(to) {
			continue
		}
		// If its response had begun before the stall, it may have ended early.
		if r.End.Before(to) {
			if r.Due.Sub(from) > 0 {
				t.Errorf("due %v after the stall began, done %v before its end", r.Due.Sub(from), to.Sub(r.End))
			}
			continue
		}
		seen++
		if r.Latency() < to.Sub(r.Due) {
			t.Errorf("latency %v, less than %v", r.Latency(), to.Sub(r.Due))
		}
	}
	if want := int(stall.Seconds() * rate); seen < want-2 {
		t.Errorf("%d requests show the stall; %d were due while it lasted", seen, want)
	}
	if summary.Clients[0].Late > stall/2 {
		t.Logf("a busy machine: %v late", summary.Clients[0].Late)
	}
}

// No request is sent twice, whatever its outcome.
func TestNoRetry(t *testing.T) {
	for _, class := range []record.Class{record.Pooled, record.Blind, record.New} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(c *serverConn) {
				for i := int64(0); ; i++ {
					if _, _, ok := c.request(); !ok {
						return
					}
					if (c.n+i)%3 == 0 {
						c.reset()
						return
					}
					c.say(good)
				}
			})
			c := config(s.address, class, 200)
			all, summary := runUntil(t, c, func(_ *record.Request, n int) bool { return n == 60 })
			if int(s.requests.Load()) != len(all) {
				t.Errorf("the server has seen %d requests, there are records of %d", s.requests.Load(), len(all))
			}
			lost := 0
			for i := range all {
				if all[i].Failed() {
					lost++
				}
			}
			if class == record.Blind && summary.Clients[0].Opened > lost+1 || lost < 10 {
				t.Errorf("%d connections, %d lost", summary.Clients[0].Opened, lost)
			}
		})
	}
}

// A request that waits for a connection for too long after the end is given up and
// counted, so that the run ends even if the server no longer answers.
func TestWaitingIsGivenUpAfterTheEnd(t *testing.T) {
	s := startServer(t, (*serverConn).hold)
	c := config(s.address, record.Blind, 1000)
	c.DialTimeout, c.ResponseTimeout = time.Second, 100*time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begin := testenv.Start()
	summary, err := Run(ctx, c, func(record.Request) {})
	if err != nil {
		t.Fatal(err)
	}
	got := summary.Clients[0]
	if due := int(summary.Stopped.Sub(summary.Began).Seconds() * 1000); got.Skipped < due/2 || got.Sent+got.Skipped < due {
		t.Errorf("of %d due, %+v", due, got)
	}
	begin.Within(t, 20*time.Second, "the run ends; alone, the line would take 30 s or more")
}

// When the run ends, requests in flight are finished, streams are closed and count as
// ended well, and no connection stays open.
func TestEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	open := make(chan bool, 4)
	s := startServer(t, func(c *serverConn) {
		req, _, ok := c.request()
		if !ok {
			return
		}
		if strings.HasPrefix(req.URL.Path, "/watch") {
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\ndata: 1\n\n")
		}
		open <- true
		<-ctx.Done()
		if !strings.HasPrefix(req.URL.Path, "/watch") {
			c.say(good)
		}
		c.hold() // until the client closes
	})
	c := config(s.address, record.Blind, 1)
	c.Clients = append(c.Clients, Client{Class: record.Slow, Rate: 1}, Client{Class: record.Stream, Connections: 1}, Client{Class: record.New, Rate: 1})
	c.Targets = append(c.Targets, Target{Path: "/watch", Classes: []record.Class{record.Stream}},
		Target{Path: "/{duration}", Classes: []record.Class{record.Slow}}, Target{Path: "/", Classes: []record.Class{record.New}})
	go func() {
		for range 4 {
			<-open
		}
		cancel()
	}()
	classes := map[record.Class]int{}
	summary, err := Run(ctx, c, func(r record.Request) {
		classes[r.Class]++
		if r.Failed() || r.End.Before(r.Sent) {
			t.Errorf("%+v", r)
		}
		if ctx.Err() == nil {
			t.Error("it ended before the run")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(classes) != 4 || summary.Stopped.After(summary.Ended) {
		t.Errorf("%v, %+v", classes, summary)
	}
	s.waitClosed(t)
	if n := s.accepted.Load(); n != 4 {
		t.Errorf("%d connections were made", n)
	}
}

// A dial in progress when the run ends is completed, and its request sent, as it was
// due before.
func TestDialUnderWayAtTheEnd(t *testing.T) {
	s := startServer(t, behave)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := config(s.address, record.New, 0.001)
	c.Dial = func(dialling context.Context, network, address string) (net.Conn, error) {
		cancel()
		return new(net.Dialer).DialContext(dialling, network, address)
	}
	n := 0
	if _, err := Run(ctx, c, func(r record.Request) {
		n++
		if r.Failed() {
			t.Errorf("%+v", r)
		}
	}); err != nil || n != 1 {
		t.Error(n, err)
	}
}

func TestRunRefusesABadConfiguration(t *testing.T) {
	_, err := Run(context.Background(), Config{}, nil)
	if err == nil || !strings.Contains(err.Error(), "clients is empty") {
		t.Error(err)
	}
}

// A dialer's connection need not be a socket.
func TestDialerOfOurOwn(t *testing.T) {
	s := startServer(t, behave)
	c := config("service.example:80", record.Blind, 100)
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "service.example:80" || network != "tcp" {
			t.Errorf("dialled %s %s", network, address)
		}
		if _, has := ctx.Deadline(); !has {
			t.Error("no time limit")
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
		return struct{ net.Conn }{conn}, err
	}
	for _, r := range first(t, c, 5) {
		if r.Failed() {
			t.Errorf("%+v", r)
		}
	}
}
