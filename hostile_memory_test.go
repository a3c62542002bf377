//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// besidesClients is how many connections are left for those that look at the service
// while all others are taken.
const besidesClients = 50

// A crowd is what many clients do at the same time.
type crowd struct {
	name string
	send func(i int) string // by the i-th client
	port func(m *measured, i int) string
	read bool // the answer is read, once
	raw  bool // with TLS, too, what is sent is sent as it is
}

func toAPI(m *measured, _ int) string { return m.api }

// toBoth sends one client in twenty to the metrics port.
func toBoth(m *measured, i int) string {
	if i%20 == 7 {
		return m.metrics
	}
	return m.api
}

// announcements are bodies that are announced, begun and left.
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
	{name: "watchers that read nothing", port: toAPI, send: func(int) string { return "GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n" }},
}

// The service as a process has the memory that the manifests give it, and as many
// connections as it permits, all of which do what costs most. It lives, answers
// others, says that it has no room for more connections, and gives the memory back.
func TestMemoryUnderHostileConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	oneCrowdAtATime(t)
	startMeasured(t).meetAll(t, crowds)
}

// crowding is held by the test that has 10,000 connections open: for two at a time there
// are too few descriptors on many a machine.
var crowding sync.Mutex

// oneCrowdAtATime lets a test run beside those that mostly wait.
func oneCrowdAtATime(t *testing.T) {
	if raceEnabled {
		// The service is a process without it in any case.
		t.Skip("the race detector makes 10,000 clients slow; make test runs this test without it")
	}
	t.Parallel()
	crowding.Lock()
	t.Cleanup(crowding.Unlock)
}

// With TLS each connection has a session as well, and what a record is read into.
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

// statesWithTLS are those in which a connection costs most besides its session.
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

// deployed is what the manifests say about memory.
type deployed struct {
	limit          int64
	env            []string
	maxConnections int
}

// readDeployed reads deploy/base, and the component for TLS over it.
func readDeployed(t *testing.T, withTLS bool) (d deployed) {
	t.Helper()
	text, err := os.ReadFile("deploy/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.add(t, text)
	if withTLS {
		text, err := os.ReadFile("deploy/components/tls/kustomization.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var component struct{ Patches []struct{ Patch string } }
		if err := yaml.Unmarshal(text, &component); err != nil {
			t.Fatal(err)
		}
		d.add(t, []byte(component.Patches[0].Patch))
	}
	return d
}

// add reads a Deployment, or a patch of one.
func (d *deployed) add(t *testing.T, text []byte) {
	t.Helper()
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	d.limit = container.Resources.Limits.Memory().Value()
	for _, e := range container.Env {
		switch e.Name {
		case "GOMEMLIMIT":
			d.env = append(d.env, e.Name+"="+e.Value) // the last one counts
		case "TOOLSET_MAX_CONNECTIONS":
			var err error
			if d.maxConnections, err = strconv.Atoi(e.Value); err != nil {
				t.Fatal(err)
			}
			d.env = append(d.env, e.Name+"="+e.Value)
		}
	}
}

// A measured is a process of the service in a memory cgroup.
type measured struct {
	deployed
	api, metrics string
	scheme       string
	start        int64 // RSS before anybody came
	group        cgroup
	cmd          *exec.Cmd
	ended        chan error
	log          *os.File
}

// startMeasured starts it, with arguments besides those that it always has; with TLS if
// there are any.
func startMeasured(t *testing.T, args ...string) *measured {
	t.Helper()
	m := &measured{deployed: readDeployed(t, len(args) > 0), api: testenv.FreeAddress(t), metrics: testenv.FreeAddress(t), ended: make(chan error, 1), scheme: "http"}
	if len(args) > 0 {
		m.scheme = "https"
	}
	err := openFiles(uint64(m.maxConnections) + 1000)
	if err != nil {
		testenv.Missing(t, err.Error(), "raise it (ulimit -Hn)")
	}
	if m.group, err = newCgroup(m.limit); err != nil {
		testenv.Missing(t, "a memory cgroup of its own: "+err.Error(), "run as root, where cgroups can be made")
	}
	t.Cleanup(m.group.remove)
	dir := t.TempDir()
	binary := filepath.Join(dir, "dynamic-toolset")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil { // #nosec G204 -- our own module
		t.Fatalf("%v: %s", err, out)
	}
	if m.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-c", `echo $$ >"$0" && exec "$@"`, m.group.procs(), binary, "serve", "--manifests", manifestsOfMany(t, 2000),
		"--health-checks=false", "--listen", m.api, "--metrics-listen", m.metrics, "--shutdown-propagation-delay=0s"}, args...)
	m.cmd = exec.Command("sh", args...) // #nosec G204 -- what was just built
	m.cmd.Env = append(command(t).Env, m.env...)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { m.ended <- m.cmd.Wait() }()
	t.Cleanup(func() {
		m.cmd.Process.Kill() //nolint:errcheck // it has ended if the test failed
		if t.Failed() {
			text, _ := os.ReadFile(m.log.Name())
			t.Logf("the end of its log: %s", text[max(0, len(text)-3000):])
		}
	})
	testenv.Eventually(t, testenv.Patience, "all toolsets are listed", func() bool {
		body, err := m.get(m.api, "/api/v1/toolsets")
		return err == nil && strings.Contains(body, `"total":2000`)
	})
	m.start = m.rss()
	t.Logf("limit %d MiB, %v, %d connections; at the start it has %s", m.limit>>20, m.env, m.maxConnections, m.memory())
	return m
}

// openFiles lets this process, and those that it starts, have n open files.
func openFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur = n
	if limit.Max < n {
		limit.Max = n // root may
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("a limit of %d open files: %w", n, err)
	}
	return nil
}

// manifestsOfMany writes Services of n back ends.
func manifestsOfMany(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for i := range n {
		s := corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "many", Name: fmt.Sprintf("a-%04d", i), Labels: map[string]string{"app.kubernetes.io/name": "prometheus"}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 9090}}, Selector: map[string]string{"app": fmt.Sprint(i)}},
		}
		data, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s\n", data)
	}
	if err := os.WriteFile(filepath.Join(dir, "many.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dead says how the process has ended; empty if it has not.
func (m *measured) dead() string {
	select {
	case err := <-m.ended:
		m.ended <- err
		return fmt.Sprintf("%v", err)
	default:
		return ""
	}
}

// memory tells what the process has.
func (m *measured) memory() string {
	return fmt.Sprintf("%d MiB (RSS %d MiB)", m.group.usage()>>20, m.rss()>>20)
}

func (m *measured) rss() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int64
	fmt.Sscan(rest, &kilobytes) //nolint:errcheck // 0 shows
	return kilobytes << 10
}

// meet lets a crowd come, looks at what becomes of the service, and sees it leave.
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
	if failures := m.group.oomKills(); failures > 0 {
		t.Errorf("%d processes were killed for their memory", failures)
	}
}

// settled waits until all connections are gone and memory has come back.
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

// lookups asks for a toolset until stop, on a connection that is kept, and returns
// how long each answer took.
func (m *measured) lookups(t *testing.T, stop chan struct{}) chan []time.Duration {
	t.Helper()
	result := make(chan []time.Duration, 1)
	conn, err := net.Dial("tcp", m.api)
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
		conn, err := net.Dial("tcp", m.api)
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
	if told == 0 {
		t.Error("no connection was over the limit")
	}
}

// gauge returns a series.
func (m *measured) gauge(t *testing.T, series string) (value float64) {
	t.Helper()
	text, err := m.get(m.metrics, "/metrics")
	if err != nil {
		t.Fatalf("%v; the process: %s", err, m.dead())
	}
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), series+" "); ok {
			fmt.Sscan(rest, &value) //nolint:errcheck // 0 shows
			return value
		}
	}
	t.Fatalf("no series %s", series)
	return 0
}

// anyServer is how clients with TLS go about certificates here. They ask for the key
// exchange that costs least with the race detector: there are 40,000 handshakes.
var anyServer = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP256}} // #nosec G402 -- whom they talk to is known

// get asks once, on a connection of its own.
func (m *measured) get(addr, path string) (body string, err error) {
	client := &http.Client{Timeout: testenv.Patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyServer}}
	resp, err := client.Get(m.scheme + "://" + addr + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// speak returns what a client speaks through on a connection that has just been opened.
func (m *measured) speak(conn net.Conn) net.Conn {
	conn.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
	if m.scheme == "https" {
		return tls.Client(conn, anyServer)
	}
	return conn
}

// A cgroup bounds the memory of the processes in it.
type cgroup struct {
	dir string
	v2  bool
}

func newCgroup(limit int64) (cgroup, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return cgroup{}, err
	}
	own := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			own[parts[1]] = parts[2]
		}
	}
	g, parent := cgroup{v2: true}, filepath.Join("/sys/fs/cgroup", filepath.Dir(own[""]))
	if path, ok := own["memory"]; ok {
		g.v2 = false
		if parent = filepath.Join("/sys/fs/cgroup/memory", path); !exists(parent) {
			parent = "/sys/fs/cgroup/memory" // a container sees its own as the root
		}
	} else {
		// Controllers of v2 are for the children of groups without processes.
		if !exists(parent) {
			parent = "/sys/fs/cgroup"
		}
		os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0o600) //nolint:errcheck // the limit tells
	}
	g.dir = filepath.Join(parent, fmt.Sprintf("dynamic-toolset-test-%d", os.Getpid()))
	if err := os.Mkdir(g.dir, 0o750); err != nil {
		return g, err
	}
	files := []string{"memory.limit_in_bytes"}
	if g.v2 {
		files = []string{"memory.max"}
		os.WriteFile(filepath.Join(g.dir, "memory.swap.max"), []byte("0"), 0o600) //nolint:errcheck // without swap there is none
	}
	for _, file := range files {
		if err := os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(limit, 10)), 0o600); err != nil {
			g.remove()
			return g, err
		}
	}
	return g, nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func (g cgroup) procs() string { return filepath.Join(g.dir, "cgroup.procs") }

// usage returns what is charged to the group: the memory of its processes, and what
// the kernel has for them.
func (g cgroup) usage() int64 {
	if g.v2 {
		return g.number("memory.current", "")
	}
	return g.number("memory.usage_in_bytes", "")
}

// oomKills returns how many processes were killed for their memory.
func (g cgroup) oomKills() int64 {
	if g.v2 {
		return g.number("memory.events", "oom_kill ")
	}
	return g.number("memory.oom_control", "oom_kill ")
}

func (g cgroup) number(file, name string) (n int64) {
	text, _ := os.ReadFile(filepath.Join(g.dir, file))
	_, rest, _ := strings.Cut(string(text), name)
	fmt.Sscan(rest, &n) //nolint:errcheck // 0 shows
	return n
}

// remove removes the group; its processes have been killed.
func (g cgroup) remove() {
	for range 100 {
		if os.Remove(g.dir) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
