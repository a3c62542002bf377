package conntrack

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// insideVariable is set in the process that runs in a network of its own.
const insideVariable = "CONNTRACK_TEST_INSIDE"

// network is a node's: a client, two pods, and a Service that leads to the first of them.
const network = `
ip link set lo up
ip addr add 10.0.0.1/32 dev lo
ip addr add 10.0.1.1/32 dev lo
ip route add 10.96.0.0/16 dev lo
nft add table ip test
nft add chain ip test output '{ type nat hook output priority -100; }'
nft add rule ip test output ip daddr 10.96.0.1 tcp dport 80 dnat to 10.0.1.1:8080
`

// The node tells of each connection of the client to the Service, and of no other: of one
// that is taken, and of one that is refused, which it forgets at once.
func TestWatch(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		inside(t)
		return
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Missing(t, "the command "+tool, "Install the packages iproute2 and nftables.")
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestWatch$", "-test.v") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		testenv.Missing(t, "a network namespace ("+err.Error()+")", "Allow user namespaces, or run the test as root.")
	case strings.Contains(string(out), noNetwork):
		testenv.Missing(t, "a network namespace with nftables ("+string(out)+")", "modprobe nf_tables nf_conntrack_netlink, as root")
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

const noNetwork = "the network could not be made"

func inside(t *testing.T) {
	if out, err := exec.Command("sh", "-ec", network).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", noNetwork, err, out)
	}
	server := httptest.NewServer(Handler(http.NotFoundHandler()))
	defer server.Close()
	filter := Filter{Client: netip.MustParseAddr("10.0.0.1"), Service: netip.MustParseAddrPort("10.96.0.1:80")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	trace, err := Follow(ctx, new(net.Dialer).DialContext, server.Listener.Addr().String(), filter)
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	ends, err := Follow(ctx, new(net.Dialer).DialContext, server.Listener.Addr().String(), Filter{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	defer ends.Close()

	dial := func(from, to string) (uint16, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from), Port: 0}, Timeout: 10 * time.Second}
		probe, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(from)})
		if err != nil {
			t.Fatal(err)
		}
		port := probe.Addr().(*net.TCPAddr).Port
		_ = probe.Close()
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from), Port: port}
		c, err := d.DialContext(ctx, "tcp", to)
		if err == nil {
			_ = c.Close()
		}
		return uint16(port), err //nolint:gosec // a port
	}
	began := time.Now()
	refused, err := dial("10.0.0.1", "10.96.0.1:80")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("nobody listens, but: %v", err)
	}
	l, err := net.Listen("tcp", "10.0.1.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	direct, err1 := dial("10.0.0.1", "10.0.1.1:8080") // not by the Service
	other, err2 := dial("10.0.1.1", "10.96.0.1:80")   // another client
	taken, err3 := dial("10.0.0.1", "10.96.0.1:80")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for {
		if _, ok := trace.Find(taken, began, time.Now()); ok {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the connection that was taken was not told of; %d were; %v", trace.Len(), trace.Problem())
		case <-time.After(10 * time.Millisecond):
		}
	}
	for port, want := range map[uint16]bool{refused: true, taken: true, direct: false, other: false} {
		f, ok := trace.Find(port, began, time.Now())
		if ok != want || ok && f.To.String() != "10.0.1.1:8080" {
			t.Errorf("from port %d: %v, %v; want %v", port, f, ok, want)
		}
	}
	if trace.Len() != 2 || !trace.Complete(began, time.Now()) {
		t.Errorf("%d connections, %v", trace.Len(), trace.Problem())
	}

	// By the pod's port all clients are told of, and what became of their connections.
	for port, is := range map[uint16]func(*Flow) bool{
		refused: func(f *Flow) bool { return f.Refused() && f.Client.String() == "10.0.0.1" && !f.Direct },
		direct: func(f *Flow) bool {
			return !f.Taken.IsZero() && !f.Closed.Before(f.Taken) && f.Reset.IsZero() && f.Direct
		},
		other: func(f *Flow) bool { return !f.Refused() && f.Client.String() == "10.0.1.1" },
	} {
		await(ctx, t, ends, port, is)
	}
	var keep atomic.Bool
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if keep.Load() {
				defer c.Close() //nolint:errcheck // of the test
				continue
			}
			_ = c.(*net.TCPConn).SetLinger(0) // a close is a reset
			_ = c.Close()
		}
	}()
	reset, err := dial("10.0.0.1", "10.96.0.1:80")
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // it may come before the dial has returned
		t.Fatal(err)
	}
	await(ctx, t, ends, reset, func(f *Flow) bool { return !f.Taken.IsZero() && !f.Reset.IsZero() })
	// Who asks later is told of what there is, and of nothing that has ended.
	keep.Store(true)
	open, err := net.Dial("tcp", "10.0.1.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close() //nolint:errcheck // of the test
	late, err := Follow(ctx, new(net.Dialer).DialContext, server.Listener.Addr().String(), Filter{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	await(ctx, t, late, uint16(open.LocalAddr().(*net.TCPAddr).Port), func(f *Flow) bool { return !f.Taken.IsZero() }) //nolint:gosec // a port
	if f, ok := late.Find(reset, time.Now(), time.Now()); ok {
		t.Errorf("what was reset: %+v", f)
	}
}

// await waits until what is known of the connection from a port fulfils a condition.
func await(ctx context.Context, t *testing.T, trace *Trace, port uint16, is func(*Flow) bool) {
	t.Helper()
	for {
		f, ok := trace.Find(port, time.Now(), time.Now())
		if ok && is(&f) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("from port %d: %+v, %v; %v", port, f, ok, trace.Problem())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
