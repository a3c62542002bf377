package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const insideEnv = "NETWORK_TEST_INSIDE"

// TestMain runs the tests in a new user and network namespace.
func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) == "" {
		os.Exit(runInside())
	}
	os.Exit(m.Run())
}

func runInside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "no namespaces for these tests (run them as root, or see user_namespaces(7)):", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

func dial(address string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// TestNetwork is a single test, since a process can make only one network.
func TestNetwork(t *testing.T) {
	n, err := New(Config{
		Machines: netip.MustParsePrefix("172.30.0.0/16"), Pods: netip.MustParsePrefix("10.244.0.0/16"),
		Services: netip.MustParsePrefix("10.96.0.0/16"), Nodes: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(n.Outside, n.Nodes[0].Address, n.Nodes[1].Address, n.Nodes[1].Pods); got != "172.30.0.1 172.30.0.10 172.30.0.11 10.244.2.0/24" {
		t.Errorf("the addresses: %s", got)
	}
	node, err := n.Node("node1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Node("node2"); err == nil {
		t.Error("there is a node2")
	}
	var l net.Listener
	if err := node.Do(func() error {
		l, err = net.Listen("tcp", node.Address.String()+":80")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const long, short = 20 * time.Second, 200 * time.Millisecond
	if err := dial("172.30.0.11:80", long); err != nil {
		t.Errorf("from outside: %v", err)
	}
	if err := n.Nodes[0].Do(func() error { return dial("172.30.0.11:80", long) }); err != nil {
		t.Errorf("from the other node: %v", err)
	}
	if err := dial("172.30.0.10:80", long); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the other node: %v, want it refused", err)
	}
	if err := dial("10.244.2.9:80", short); !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
		t.Errorf("a pod that is not there: %v, want silence", err)
	}
	wantServicesThrough := func(node int) {
		t.Helper()
		routes, err := n.handle.RouteGet(net.ParseIP("10.96.0.1"))
		if err != nil || len(routes) != 1 || routes[0].Gw.String() != n.Nodes[node].Address.String() {
			t.Errorf("Services are reached through %v, %v, want node%d", routes, err, node)
		}
	}
	wantServicesThrough(0)
	if err := n.Cut("node0"); err != nil {
		t.Fatal(err)
	}
	wantServicesThrough(1)
	if err := n.Cut("node1"); err != nil {
		t.Fatal(err)
	}
	if err := dial("172.30.0.11:80", short); err == nil || errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("behind a cut cable: %v, want silence", err)
	}
	if err := n.Restore("node1"); err != nil {
		t.Fatal(err)
	}
	if err := dial("172.30.0.11:80", long); err != nil {
		t.Errorf("the cable restored: %v", err)
	}
	wantServicesThrough(1)
	if err := n.Restore("node0"); err != nil {
		t.Fatal(err)
	}
	wantServicesThrough(0)
}
