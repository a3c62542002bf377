package cri

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// appImage is the image with the tests' program, at /app.
const appImage = "test/app:v1"

// A node is a runtime as the kubelet sees it.
type node struct {
	t       *testing.T
	server  *Server
	runtime runtime.RuntimeServiceClient
	images  runtime.ImageServiceClient
	dir     string
	log     *logBuffer
}

var nodeCount atomic.Int32

// newNode starts a runtime. At the end of the test it stops it, and fails the test if
// anything is left.
func newNode(t *testing.T) *node {
	t.Helper()
	// Not t.TempDir, whose path is too long for a socket.
	dir, err := os.MkdirTemp("", "cri-")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, log: &logBuffer{}}
	n.server, err = Start(Config{
		Root: filepath.Join(dir, "root"), Images: filepath.Join(dir, "images"), NodeIP: net.IPv4(127, 0, 0, 1),
		PodNetwork: netip.MustParsePrefix(fmt.Sprintf("10.244.%d.0/24", nodeCount.Add(1))), Log: n.log,
	}, filepath.Join(dir, "cri.sock"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, "cri.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	n.runtime, n.images = runtime.NewRuntimeServiceClient(conn), runtime.NewImageServiceClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		if err := n.server.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
		checkNothingLeft(t, n)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the runtime's log:\n%s", n.log)
		}
	})
	n.load(appImage, map[string]any{"entrypoint": []string{"/app"}}, map[string]string{"/app": os.Getenv(appEnv)})
	return n
}

// checkNothingLeft looks for links, routes, mounts and processes. There are none but
// those that the tests make.
func checkNothingLeft(t *testing.T, n *node) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, "veth") {
			t.Errorf("a link is left: %s", l.Attrs().Name)
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.Dst != nil && n.server.cfg.PodNetwork.Contains(netip.AddrFrom4([4]byte(r.Dst.IP.To4()))) {
			t.Errorf("a route is left: %v", r)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), n.dir) {
		t.Errorf("a mount is left below %s:\n%s", n.dir, mounts)
	}
	if left, _ := os.ReadDir(filepath.Join(n.server.cfg.Root, "sandboxes")); len(left) > 0 {
		t.Errorf("files of %d sandboxes are left", len(left))
	}
	for _, p := range processes(t) {
		t.Errorf("a process is left: %s", p)
	}
}

// processes returns all processes, but the tests' own one and the run of the ordinary
// user below it.
func processes(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		out = append(out, e.Name()+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return out
}

// running returns processes without zombies: a container's process 1 must reap what a
// command leaves behind, and not all do.
func running(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(processes(t), func(line string) bool { return strings.HasSuffix(line, " ") && strings.Count(line, " ") == 1 })
}

// load writes an image to the store: the description, and files of this host by their
// paths in the container.
func (n *node) load(name string, description map[string]any, files map[string]string) {
	n.t.Helper()
	dir := filepath.Join(n.dir, "new")
	must(n.t, os.MkdirAll(filepath.Join(dir, "files"), 0o755))
	paths := map[string]string{}
	for target, source := range files {
		place := "files/" + strconv.Itoa(len(paths))
		paths[target] = place
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			must(n.t, os.CopyFS(filepath.Join(dir, place), os.DirFS(source)))
			continue
		}
		content, err := os.ReadFile(source)
		must(n.t, err)
		must(n.t, os.WriteFile(filepath.Join(dir, place), content, 0o755))
	}
	all := map[string]any{"name": name, "files": paths}
	for k, v := range description {
		all[k] = v
	}
	text, err := json.Marshal(all)
	must(n.t, err)
	must(n.t, os.WriteFile(filepath.Join(dir, imageFile), text, 0o644))
	must(n.t, os.MkdirAll(filepath.Join(n.dir, "images"), 0o755))
	sum := sha256.Sum256([]byte(name))
	place := filepath.Join(n.dir, "images", hex.EncodeToString(sum[:]))
	must(n.t, os.RemoveAll(place))
	must(n.t, os.Rename(dir, place))
}

// testSandbox is a running pod of the tests.
type testSandbox struct {
	n   *node
	id  string
	cfg *runtime.PodSandboxConfig
}

func sandboxConfig(n *node, name string) *runtime.PodSandboxConfig {
	return &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Namespace: "test", Uid: "uid-" + name},
		Hostname: name + "-host", LogDirectory: filepath.Join(n.dir, "logs", name),
		Labels: map[string]string{"name": name},
		DnsConfig: &runtime.DNSConfig{
			Servers: []string{"10.96.0.10"}, Searches: []string{"a.local", "b.local"}, Options: []string{"ndots:5"},
		},
		Linux: &runtime.LinuxPodSandboxConfig{SecurityContext: &runtime.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtime.NamespaceOption{Pid: runtime.NamespaceMode_CONTAINER}, // like the kubelet
		}},
	}
}

func (n *node) sandbox(name string, change ...func(*runtime.PodSandboxConfig)) *testSandbox {
	n.t.Helper()
	cfg := sandboxConfig(n, name)
	for _, f := range change {
		f(cfg)
	}
	r, err := n.runtime.RunPodSandbox(n.ctx(), &runtime.RunPodSandboxRequest{Config: cfg})
	must(n.t, err)
	return &testSandbox{n: n, id: r.PodSandboxId, cfg: cfg}
}

func (s *testSandbox) address() string {
	s.n.t.Helper()
	r, err := s.n.runtime.PodSandboxStatus(s.n.ctx(), &runtime.PodSandboxStatusRequest{PodSandboxId: s.id})
	must(s.n.t, err)
	return r.Status.Network.Ip
}

func (s *testSandbox) stop() {
	s.n.t.Helper()
	_, err := s.n.runtime.StopPodSandbox(s.n.ctx(), &runtime.StopPodSandboxRequest{PodSandboxId: s.id})
	must(s.n.t, err)
}

// create creates a container that runs the app with these arguments.
func (s *testSandbox) create(name string, args []string, change ...func(*runtime.ContainerConfig)) string {
	s.n.t.Helper()
	r, err := s.n.runtime.CreateContainer(s.n.ctx(), s.request(name, args, change...))
	must(s.n.t, err)
	return r.ContainerId
}

func (s *testSandbox) request(name string, args []string, change ...func(*runtime.ContainerConfig)) *runtime.CreateContainerRequest {
	cfg := &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: name}, Image: &runtime.ImageSpec{Image: appImage},
		Args: args, LogPath: name + "/0.log", Labels: map[string]string{"container": name},
		Linux: &runtime.LinuxContainerConfig{SecurityContext: &runtime.LinuxContainerSecurityContext{}},
	}
	for _, f := range change {
		f(cfg)
	}
	return &runtime.CreateContainerRequest{PodSandboxId: s.id, Config: cfg, SandboxConfig: s.cfg}
}

// start creates and starts a container.
func (s *testSandbox) start(name string, args []string, change ...func(*runtime.ContainerConfig)) string {
	s.n.t.Helper()
	id := s.create(name, args, change...)
	_, err := s.n.runtime.StartContainer(s.n.ctx(), &runtime.StartContainerRequest{ContainerId: id})
	must(s.n.t, err)
	return id
}

// run runs a container to its end, and returns its standard output. It must exit with
// 0.
func (s *testSandbox) run(name string, args []string, change ...func(*runtime.ContainerConfig)) string {
	s.n.t.Helper()
	id := s.start(name, args, change...)
	st := s.n.exited(id)
	if st.ExitCode != 0 {
		s.n.t.Fatalf("%v exits with %d, log:\n%s", args, st.ExitCode, s.n.rawLog(id))
	}
	return s.n.output(id, "stdout")
}

func (n *node) status(id string) *runtime.ContainerStatus {
	n.t.Helper()
	r, err := n.runtime.ContainerStatus(n.ctx(), &runtime.ContainerStatusRequest{ContainerId: id})
	must(n.t, err)
	return r.Status
}

// exited waits for the end of a container.
func (n *node) exited(id string) *runtime.ContainerStatus {
	n.t.Helper()
	var st *runtime.ContainerStatus
	n.eventually("the container exits", func() bool {
		st = n.status(id)
		return st.State == runtime.ContainerState_CONTAINER_EXITED
	})
	return st
}

func (n *node) eventually(what string, f func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// says waits for a line in a container's output.
func (n *node) says(id, line string) {
	n.t.Helper()
	n.eventually("the container says "+line, func() bool {
		return strings.Contains("\n"+n.output(id, "stdout"), "\n"+line+"\n")
	})
}

func (n *node) rawLog(id string) string {
	n.t.Helper()
	b, err := os.ReadFile(n.status(id).LogPath)
	must(n.t, err)
	return string(b)
}

// output returns everything that the log has of one stream.
func (n *node) output(id, stream string) string {
	n.t.Helper()
	return streamOf(n.t, n.rawLog(id), stream)
}

func streamOf(t *testing.T, log, stream string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(log) {
		if !strings.HasSuffix(line, "\n") {
			break // being written
		}
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(fields) != 4 {
			t.Fatalf("no entry of a log: %q", line)
		}
		if _, err := time.Parse(time.RFC3339Nano, fields[0]); err != nil {
			t.Fatalf("the time of the entry %q: %v", line, err)
		}
		if fields[1] != stream {
			continue
		}
		out.WriteString(fields[3])
		switch fields[2] {
		case "F":
			out.WriteByte('\n')
		case "P":
		default:
			t.Fatalf("the tag of the entry %q is neither F nor P", line)
		}
	}
	return out.String()
}

func (n *node) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	n.t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ io.Writer = (*logBuffer)(nil)
