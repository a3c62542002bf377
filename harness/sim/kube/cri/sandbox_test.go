package cri

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestSandboxesReachEachOther(t *testing.T) {
	n := newNode(t)
	a, b := n.sandbox("a"), n.sandbox("b")
	id := a.start("server", []string{"serve", "80"}, func(c *runtime.ContainerConfig) {
		c.Linux.SecurityContext.RunAsUser = &runtime.Int64Value{Value: 65532} // which listens on a low port
	})
	n.says(id, "ready")
	for _, c := range []struct {
		from     *testSandbox
		to, want string
	}{
		{b, a.address() + ":80", "answer hello"},
		{b, a.address() + ":81", "refused"},
		{a, "127.0.0.1:80", "answer hello"},
		{b, "127.0.0.1:80", "refused"},
	} {
		if got := strings.TrimSpace(c.from.run("dial"+c.to, []string{"dial", c.to})); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.from.cfg.Hostname, c.to, got, c.want)
		}
	}
	// The node reaches the pod, as it must for the kubelet's probes.
	conn, err := net.DialTimeout("tcp", a.address()+":80", 5*time.Second)
	must(t, err)
	_ = conn.Close()
}

func TestSandboxThatIsStoppedGoesSilent(t *testing.T) {
	n := newNode(t)
	a, b := n.sandbox("a"), n.sandbox("b")
	id := a.start("server", []string{"serve", "80"})
	n.says(id, "ready")
	address := a.address()
	if got := b.run("before", []string{"dial", address + ":80"}); got != "answer hello\n" {
		t.Fatalf("before: %q", got)
	}
	a.stop()
	if _, err := netlink.LinkByName("veth" + a.id[:8]); !errors.As(err, &netlink.LinkNotFoundError{}) {
		t.Errorf("its link is still there: %v", err)
	}
	if st := n.status(id); st.State != runtime.ContainerState_CONTAINER_EXITED || st.ExitCode != 137 {
		t.Errorf("its container is %v, code %d", st.State, st.ExitCode)
	}
	if got := b.run("after", []string{"dial", address + ":80"}); got != "silence\n" {
		t.Errorf("after: %q, want silence: a dead pod does not refuse", got)
	}
	if got := b.run("never", []string{"dial", strings.TrimSuffix(address, "2") + "77:80"}); got != "silence\n" {
		t.Errorf("an address that no pod has had: %q, want silence", got)
	}
	a.stop() // a second time
	r, err := n.runtime.PodSandboxStatus(n.ctx(), &runtime.PodSandboxStatusRequest{PodSandboxId: a.id})
	must(t, err)
	if r.Status.State != runtime.PodSandboxState_SANDBOX_NOTREADY {
		t.Errorf("its state is %v", r.Status.State)
	}
	_, err = n.runtime.CreateContainer(n.ctx(), a.request("late", nil))
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a container for a stopped pod: %v", err)
	}
}

func TestSandboxAddressIsNotReusedSoon(t *testing.T) {
	n := newNode(t)
	seen := map[string]bool{}
	for range 10 {
		s := n.sandbox("pod")
		if a := s.address(); seen[a] {
			t.Errorf("%s again", a)
		} else {
			seen[a] = true
		}
		s.stop()
	}
}

func TestAddressPool(t *testing.T) {
	p := newAddressPool(netip.MustParsePrefix("10.1.2.0/29"))
	if p.gateway != netip.MustParseAddr("10.1.2.1") {
		t.Errorf("the gateway is %s", p.gateway)
	}
	take := func() string {
		a, err := p.take()
		if err != nil {
			return err.Error()
		}
		return a.String()
	}
	for _, want := range []string{"10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"} {
		if got := take(); got != want {
			t.Errorf("taken: %s, want %s", got, want)
		}
	}
	if got := take(); !strings.Contains(got, "all 5 pod addresses") {
		t.Errorf("of a full pool: %s", got)
	}
	p.free(netip.MustParseAddr("10.1.2.5"))
	p.free(netip.MustParseAddr("10.1.2.3"))
	if a, b := take(), take(); a != "10.1.2.3" || b != "10.1.2.5" {
		t.Errorf("the freed ones come as %s, %s", a, b)
	}
}

func TestSandboxContainersShareIt(t *testing.T) {
	n := newNode(t)
	pod, other := n.sandbox("pod"), n.sandbox("other")
	pod.run("w", []string{"write", "/dev/shm/x", "shared"})
	if got := pod.run("r", []string{"read", "/dev/shm/x"}); !strings.HasSuffix(got, "shared") {
		t.Errorf("the other container reads %q", got)
	}
	if st := n.exited(other.start("r", []string{"read", "/dev/shm/x"})); st.ExitCode != 1 {
		t.Error("another pod shares the memory too")
	}
	id := pod.start("server", []string{"serve", "8080"})
	n.says(id, "ready")
	if got := pod.run("dial", []string{"dial", "127.0.0.1:8080"}); got != "answer hello\n" {
		t.Errorf("over the loopback: %q", got)
	}
}

func TestSandboxOnTheHostNetwork(t *testing.T) {
	n := newNode(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	host := n.sandbox("pod", func(c *runtime.PodSandboxConfig) {
		c.Linux.SecurityContext.NamespaceOptions.Network = runtime.NamespaceMode_NODE
		c.PortMappings = []*runtime.PortMapping{{HostPort: 80, ContainerPort: 80}} // as the kubelet does
	})
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("node\n"))
			_ = c.Close()
		}
	}()
	if got := host.run("dial", []string{"dial", l.Addr().String()}); got != "answer node\n" {
		t.Errorf("the node's port: %q", got)
	}
	if got := host.address(); got != "" {
		t.Errorf("it has the address %q of its own", got)
	}
}

func TestSandboxRefusesWhatItCannotDo(t *testing.T) {
	n := newNode(t)
	for name, c := range map[string]struct {
		change func(*runtime.PodSandboxConfig)
		want   string
	}{
		"shared processes": {func(c *runtime.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.Pid = runtime.NamespaceMode_POD
		}, "shareProcessNamespace"},
		"the host's processes": {func(c *runtime.PodSandboxConfig) {
			c.Linux.SecurityContext.NamespaceOptions.Pid = runtime.NamespaceMode_NODE
		}, "hostPID"},
		"a host port":      {func(c *runtime.PodSandboxConfig) { c.PortMappings = []*runtime.PortMapping{{HostPort: 80}} }, "hostPort"},
		"a strange sysctl": {func(c *runtime.PodSandboxConfig) { c.Linux.Sysctls = map[string]string{"../../x": "1"} }, "../../x"},
		"an unknown sysctl": {func(c *runtime.PodSandboxConfig) {
			c.Linux.Sysctls = map[string]string{"net.ipv4.no_such": "1"}
		}, "net.ipv4.no_such"},
	} {
		cfg := sandboxConfig(n, "refused")
		c.change(cfg)
		_, err := n.runtime.RunPodSandbox(n.ctx(), &runtime.RunPodSandboxRequest{Config: cfg})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a word of %q", name, err, c.want)
		}
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	if len(n.server.addresses.used) > 0 || len(n.server.sandboxes) > 0 {
		t.Errorf("the refused pods keep addresses %v", n.server.addresses.used)
	}
}

func TestSandboxSysctls(t *testing.T) {
	n := newNode(t)
	before, err := os.ReadFile("/proc/sys/net/ipv4/tcp_keepalive_time")
	must(t, err)
	pod := n.sandbox("pod", func(c *runtime.PodSandboxConfig) {
		c.Linux.Sysctls = map[string]string{"net.ipv4.tcp_keepalive_time": "123"}
	})
	if got := pod.run("r", []string{"read", "/proc/sys/net/ipv4/tcp_keepalive_time"}); got != "123\n" {
		t.Errorf("in the pod it is %q", got)
	}
	if after, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_keepalive_time"); string(after) != string(before) {
		t.Errorf("on the node it is now %q", after)
	}
}

func TestSandboxesAreListedAndRemoved(t *testing.T) {
	n := newNode(t)
	a, b := n.sandbox("a"), n.sandbox("b")
	a.start("c", []string{"stubborn"})
	b.stop()
	list := func(f *runtime.PodSandboxFilter) (names []string) {
		r, err := n.runtime.ListPodSandbox(n.ctx(), &runtime.ListPodSandboxRequest{Filter: f})
		must(t, err)
		for _, s := range r.Items {
			names = append(names, s.Metadata.Name)
		}
		return names
	}
	for name, c := range map[string]struct {
		filter *runtime.PodSandboxFilter
		want   int
	}{
		"all":        {nil, 2},
		"ready":      {&runtime.PodSandboxFilter{State: &runtime.PodSandboxStateValue{State: runtime.PodSandboxState_SANDBOX_READY}}, 1},
		"by ID":      {&runtime.PodSandboxFilter{Id: a.id}, 1},
		"by label":   {&runtime.PodSandboxFilter{LabelSelector: map[string]string{"name": "b"}}, 1},
		"by nothing": {&runtime.PodSandboxFilter{LabelSelector: map[string]string{"name": "c"}}, 0},
	} {
		if got := list(c.filter); len(got) != c.want {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
	}
	for _, id := range []string{a.id, b.id, a.id, "unknown"} {
		if _, err := n.runtime.StopPodSandbox(n.ctx(), &runtime.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
			t.Errorf("stop %s: %v", id, err)
		}
		if _, err := n.runtime.RemovePodSandbox(n.ctx(), &runtime.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
			t.Errorf("remove %s: %v", id, err)
		}
		if _, err := n.runtime.PodSandboxStatus(n.ctx(), &runtime.PodSandboxStatusRequest{PodSandboxId: id}); status.Code(err) != codes.NotFound {
			t.Errorf("the status of what was removed: %v", err)
		}
	}
	if got := list(nil); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	r, err := n.runtime.ListContainers(n.ctx(), &runtime.ListContainersRequest{})
	must(t, err)
	if len(r.Containers) != 0 {
		t.Errorf("left: %v", r.Containers)
	}
}

// The kubelet stops a pod several times, also while its containers start.
func TestSandboxStopsWhileContainersStart(t *testing.T) {
	n := newNode(t)
	for range 5 {
		pod := n.sandbox("pod")
		var ids []string
		for range 3 {
			ids = append(ids, pod.create("c", []string{"stubborn"}))
		}
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() { // this may succeed or fail
				_, _ = n.runtime.StartContainer(n.ctx(), &runtime.StartContainerRequest{ContainerId: id})
			})
		}
		for range 2 {
			wg.Go(func() {
				if _, err := n.runtime.StopPodSandbox(n.ctx(), &runtime.StopPodSandboxRequest{PodSandboxId: pod.id}); err != nil {
					t.Errorf("stop: %v", err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if st := n.status(id); st.State != runtime.ContainerState_CONTAINER_EXITED {
				t.Errorf("a container of the stopped pod is %v", st.State)
			}
		}
		if left := processes(t); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
	}
}

func TestMachineKeepsItsOwnBlackhole(t *testing.T) {
	network := netip.MustParsePrefix("10.99.1.0/24")
	added, err := addBlackhole(network)
	must(t, err)
	if !added {
		t.Fatal("it was there")
	}
	dir, err := os.MkdirTemp("", "cri-")
	must(t, err)
	defer os.RemoveAll(dir)
	s, err := Start(Config{Root: dir, Images: dir, NodeIP: net.IPv4(127, 0, 0, 1), PodNetwork: network}, filepath.Join(dir, "sock"))
	must(t, err)
	must(t, s.Stop())
	if added, err := addBlackhole(network); err != nil || added {
		t.Errorf("the route of somebody else is gone (%v)", err)
	}
	must(t, removeBlackhole(network))
	must(t, removeBlackhole(network)) // a second time
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	good := Config{Root: t.TempDir(), Images: "x", NodeIP: net.IPv4(127, 0, 0, 1), PodNetwork: netip.MustParsePrefix("10.98.1.0/24")}
	for want, change := range map[string]func(*Config, *string){
		"Config.Root":                func(c *Config, _ *string) { c.Root = "" },
		"Config.Images":              func(c *Config, _ *string) { c.Images = "" },
		"Config.NodeIP":              func(c *Config, _ *string) { c.NodeIP = nil },
		"10.244.1.0/24":              func(c *Config, _ *string) { c.PodNetwork = netip.Prefix{} },
		"at most 29 bits":            func(c *Config, _ *string) { c.PodNetwork = netip.MustParsePrefix("10.0.0.0/30") },
		"choose a shorter one":       func(_ *Config, s *string) { *s = "/" + strings.Repeat("x", 108) },
		"listen for kubelet":         func(_ *Config, s *string) { *s = "/nowhere/sock" },
		"listen for streams":         func(c *Config, _ *string) { c.NodeIP = net.IPv4(192, 0, 2, 1) },
		"the runtime's state folder": func(c *Config, _ *string) { c.Root = "/proc/nowhere" },
	} {
		cfg, socket := good, filepath.Join(good.Root, "s")
		change(&cfg, &socket)
		s, err := Start(cfg, socket)
		if err == nil {
			_ = s.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start says %v, want %q", err, want)
		}
	}
	if added, err := addBlackhole(good.PodNetwork); err != nil || !added {
		t.Errorf("a failed Start leaves its route (%v)", err)
	}
	must(t, removeBlackhole(good.PodNetwork))
}

// A socket that is left by a process that was killed does no harm.
func TestStartTakesOverAnOldSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "cri-")
	must(t, err)
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must(t, err)
	must(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}))
	must(t, syscall.Close(fd))
	s, err := Start(Config{Root: dir, Images: dir, NodeIP: net.IPv4(127, 0, 0, 1), PodNetwork: netip.MustParsePrefix("10.97.1.0/24")}, socket)
	must(t, err)
	must(t, s.Stop())
	if err1, err2 := s.Stop(), s.Stop(); !errors.Is(err1, err2) {
		t.Errorf("Stop again: %v, %v", err1, err2)
	}
}
