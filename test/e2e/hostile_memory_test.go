//go:build linux

package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// besidesClients is how many connections are left for the test itself while clients take
// all others.
const besidesClients = 50

// A crowd is what many clients do at the same time.
type crowd struct {
	name string
	send func(i int) string // what the i-th client sends
	port func(m *measured, i int) string
	read bool // clients read the answer, once
	raw  bool // with TLS, too, the bytes go to the socket as they are
}

func toAPI(m *measured, _ int) string { return m.apiAddr }

// toBoth sends one client in twenty to the metrics port.
func toBoth(m *measured, i int) string {
	if i%20 == 7 {
		return m.metricsAddr
	}
	return m.apiAddr
}

// announcements are bodies that are announced and begun, but not finished.
func announcements(i int) string {
	const fields = " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	forms := []string{
		"Content-Length: 1048576\r\n\r\n", "Content-Length: 1048576\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nfffff\r\n{",
		"Transfer-Encoding: chunked\r\n\r\nfffff\r\n", "Expect: 100-continue\r\nContent-Length: 1048576\r\n\r\n{", "Content-Length: 4611686018427387904\r\n\r\n{",
		"Transfer-Encoding: chunked\r\n\r\n7ffffffffffffff\r\n{",
	}
	targets := []string{"POST /nothing", "POST /api/v1/toolsets/validate", "GET /api/v1/toolsets/x", "PUT /health", "POST /api/v1/discover", "POST /metrics", "GET /health", "DELETE /api/v1/toolsets"}
	return targets[i%len(targets)] + fields + forms[i/len(targets)%len(forms)]
}

var crowds = []crowd{
	{name: "idle after a request", port: toAPI, read: true, send: func(int) string { return "GET /api/v1/toolsets/a-0001 HTTP/1.1\r\nHost: x\r\n\r\n" }},
	{name: "silent from the start", port: toAPI, send: func(int) string { return "" }},
	{name: "announced bodies", port: toBoth, send: announcements},
	{name: "bodies for a known path", port: toAPI, send: func(int) string {
		return "POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n{"
	}},
	{name: "half heads", port: toBoth, send: func(i int) string {
		head := "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nX: "
		return head + strings.Repeat("a", i%4*3500)
	}},
	{name: "a request and half a head", port: toAPI, send: func(int) string {
		return "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 2000)
	}},
	{name: "slow readers of the list", port: toAPI, send: func(int) string { return "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n" }},
	{name: "slow readers of a filtered list", port: toAPI, send: func(int) string { return "GET /api/v1/toolsets?type=prometheus HTTP/1.1\r\nHost: x\r\n\r\n" }},
	{name: "slow readers of many lookups", port: toAPI, send: func(int) string {
		return strings.Repeat("GET /api/v1/toolsets/a-0001 HTTP/1.1\r\nHost: x\r\n\r\n", 1000)
	}},
	{name: "watchers that read nothing", port: toAPI, send: func(int) string { return "GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n" }},
}

// The service runs as a process with the memory that the manifests give it. As many
// connections as it allows do whatever costs most. It must survive, answer others, say
// that it has no room for more connections, and give the memory back.
func TestMemoryUnderHostileConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	oneCrowdAtATime(t)
	startMeasured(t).meetAll(t, crowds)
}

// crowding is held by the test that has 10,000 connections open: many machines have too
// few file descriptors for two such tests.
var crowding sync.Mutex

// oneCrowdAtATime lets a test run in parallel with tests that mostly wait.
func oneCrowdAtATime(t *testing.T) {
	if testenv.Race {
		// The service is a process without the race detector in any case.
		t.Skip("the race detector makes 10,000 clients slow; make test runs this test without it")
	}
	t.Parallel()
	crowding.Lock()
	t.Cleanup(crowding.Unlock)
}

// With TLS each connection also has a session, and a buffer for records.
func TestMemoryUnderHostileConnectionsWithTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	oneCrowdAtATime(t)
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := authority.Issue(t, nil).Write(t, t.TempDir())
	m := startMeasured(t, "--tls-cert-file", cert, "--tls-key-file", key)
	overTLS := []crowd{{name: "handshakes that are begun", port: toBoth, raw: true, send: func(int) string {
		// A ClientHello of 65,000 bytes is announced; more than 8 KiB would end it.
		part := "\x16\x03\x01\x0d\xac" + strings.Repeat("\x00", 3500)
		return part[:5] + "\x01\x00\xfd\xe8" + part[9:] + part
	}}}
	for _, c := range crowds {
		if slices.Contains(statesWithTLS, c.name) {
			overTLS = append(overTLS, c)
		}
	}
	m.meetAll(t, overTLS)
}

// statesWithTLS are those states in which a connection costs most in addition to its
// session.
var statesWithTLS = []string{"idle after a request", "bodies for a known path", "half heads", "slow readers of the list"}

func (m *measured) meetAll(t *testing.T, crowds []crowd) {
	t.Helper()
	for i, c := range crowds {
		t.Run(c.name, func(t *testing.T) { m.meet(t, c, i) })
		if m.dead() != "" {
			t.Fatalf("the service has died: %s", m.dead())
		}
	}
}

// meet lets a crowd come, checks the service meanwhile, and lets the crowd leave.
func (m *measured) meet(t *testing.T, c crowd, number int) {
	n := m.maxConnections - besidesClients
	stop := make(chan struct{})
	times := m.lookups(t, stop)
	var peak atomic.Int64
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				peak.Store(max(peak.Load(), m.rss()))
			}
		}
	})
	conns := make([]net.Conn, n)
	var wg sync.WaitGroup
	var refused atomic.Int64
	for worker := range 16 {
		wg.Go(func() {
			d := net.Dialer{Timeout: testenv.Patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(number+1), byte(worker+1))},
				Control: func(_, _ string, raw syscall.RawConn) error {
					return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) }) //nolint:errcheck,gosec // a larger one only takes longer
				}}
			for i := worker; i < n && m.dead() == ""; i += 16 {
				conn, err := d.Dial("tcp", c.port(m, i))
				if err != nil {
					refused.Add(1)
					continue
				}
				conns[i] = conn
				client := conn
				if !c.raw {
					client = m.speak(conn)
				}
				io.WriteString(client, c.send(i)) //nolint:errcheck // it may be answered by now
				if c.read {
					resp, err := http.ReadResponse(bufio.NewReader(client), nil)
					if err != nil || resp.StatusCode != 200 {
						t.Errorf("connection %d: %v %v", i, resp, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(1500 * time.Millisecond) // they stay
	open := m.gauge(t, "toolset_open_connections")
	if open >= float64(n) {
		m.over(t)
	}
	close(stop)
	sampling.Wait()
	durations := <-times
	if why := m.dead(); why != "" {
		t.Fatalf("the service has died: %s; it had %d MiB", why, peak.Load()>>20)
	}
	for _, conn := range conns {
		if conn != nil {
			conn.(*net.TCPConn).SetLinger(0) //nolint:errcheck // no port shall stay taken
			conn.Close()                     //nolint:errcheck // the end of it
		}
	}
	slices.Sort(durations)
	left := m.settled(t)
	t.Logf("%d connections, %.0f open at the end, %d not accepted: RSS at most %d MiB, %d KiB each above the start; then %d MiB; %d lookups, p50 %s, p99 %s, at most %s",
		n, open, refused.Load(), peak.Load()>>20, (peak.Load()-m.start)/int64(n)>>10, left>>20, len(durations),
		durations[len(durations)/2], durations[len(durations)*99/100], durations[len(durations)-1])
	if came := n - int(refused.Load()); came < n*9/10 {
		t.Errorf("only %d of %d connections came to be", came, n)
	}
	if failures := m.group.oomKills(); failures > 0 {
		t.Errorf("%d processes were killed for their memory", failures)
	}
}

// settled waits until all connections are gone and the memory has been given back.
func (m *measured) settled(t *testing.T) (rss int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		open := m.gauge(t, "toolset_open_connections")
		rss = m.rss()
		if open < 10 && rss < m.limit*6/10 {
			return rss
		}
		if time.Now().After(end) {
			t.Fatalf("a minute later %.0f connections are open, and it has %s", open, m.memory())
		}
	}
}

// lookups sends lookups on one connection until stop is closed, and returns how long each
// answer took.
func (m *measured) lookups(t *testing.T, stop chan struct{}) chan []time.Duration {
	t.Helper()
	result := make(chan []time.Duration, 1)
	conn, err := net.Dial("tcp", m.apiAddr)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer conn.Close() //nolint:errcheck // the end of it
		conn := m.speak(conn)
		r := bufio.NewReader(conn)
		var times []time.Duration
		defer func() {
			if len(times) == 0 {
				t.Error("no lookup was answered")
				times = append(times, 0)
			}
			result <- times
		}()
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			begin := time.Now()
			conn.SetDeadline(begin.Add(testenv.Patience)) //nolint:errcheck // the read tells
			io.WriteString(conn, "GET /api/v1/toolsets/a-0007 HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("a lookup meanwhile: %v %v", resp, err)
				return
			}
			times = append(times, time.Since(begin))
		}
	}()
	return result
}

// over opens connections until the service says that there are too many.
func (m *measured) over(t *testing.T) {
	t.Helper()
	told := 0
	for range 2 * besidesClients {
		conn, err := net.Dial("tcp", m.apiAddr)
		if err != nil {
			t.Errorf("a connection over the limit: %v", err)
			return
		}
		defer conn.Close() //nolint:errcheck // at the end
		conn = m.speak(conn)
		io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n") //nolint:errcheck // the read tells
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("a connection over the limit: %v", err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == 200 {
			continue // it stays, and is one of those within the limit
		}
		if err := problemdoc.Check(resp.Header.Get("Content-Type"), body, 503); err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("a connection over the limit: %d %v %s", resp.StatusCode, err, body)
			return
		}
		told++
	}
	// Slow readers may have been cut off meanwhile.
	if open := m.gauge(t, "toolset_open_connections"); told == 0 && open >= float64(m.maxConnections) {
		t.Errorf("%.0f connections are open, and none was over the limit of %d", open, m.maxConnections)
	}
}
