package cri

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A sandbox is a pod: what its containers share.
type sandbox struct {
	id          string
	cfg         *runtime.PodSandboxConfig
	handler     string
	hostNetwork bool
	dir         string // for its files, such as resolv.conf, and the shared memory
	address     netip.Addr
	link        string // the node's end of its veth pair
	created     time.Time

	// teardown serializes the end of the network. It may be held while waiting, and
	// must not be locked while Server.mu is held.
	teardown sync.Mutex

	// Guarded by Server.mu.
	state        runtime.PodSandboxState
	namespaces   *namespaces // nil once the sandbox is torn down
	holdsAddress bool        // address was taken from the pool
}

// newID returns a name for a sandbox or container, of the usual length.
func newID() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func noSandbox(id string) error {
	return status.Errorf(codes.NotFound, "there is no pod sandbox %q", id)
}

// RunPodSandbox makes the pod's namespaces, and connects it to the node's network.
func (s runtimeService) RunPodSandbox(_ context.Context, req *runtime.RunPodSandboxRequest) (*runtime.RunPodSandboxResponse, error) {
	if err := checkSandbox(req); err != nil {
		return nil, err
	}
	id := newID()
	sb := &sandbox{
		id: id, cfg: req.Config, handler: req.RuntimeHandler,
		hostNetwork: usesHostNetwork(req.Config),
		dir:         filepath.Join(s.cfg.Root, "sandboxes", id),
		link:        "veth" + id[:8],
	}
	if err := s.setUp(sb); err != nil {
		return nil, errors.Join(err, s.tearDown(sb), os.RemoveAll(sb.dir))
	}
	s.mu.Lock()
	sb.state, sb.created = runtime.PodSandboxState_SANDBOX_READY, time.Now()
	s.sandboxes[id] = sb
	s.mu.Unlock()
	s.log.line("sandbox %s of %s/%s is ready, address %s", id[:12], sb.cfg.GetMetadata().GetNamespace(), sb.cfg.GetMetadata().GetName(), sb.address)
	return &runtime.RunPodSandboxResponse{PodSandboxId: id}, nil
}

// checkSandbox returns an error for what this runtime can't do: a pod that runs in
// another way than specified, without a word, would prove nothing.
func checkSandbox(req *runtime.RunPodSandboxRequest) error {
	cfg := req.Config
	if cfg == nil {
		return status.Error(codes.InvalidArgument, "the sandbox has no configuration")
	}
	if req.RuntimeHandler != "" {
		return status.Errorf(codes.InvalidArgument, "there is no runtime handler %q here: leave the pod's runtimeClassName out", req.RuntimeHandler)
	}
	options := cfg.GetLinux().GetSecurityContext().GetNamespaceOptions()
	switch {
	case options == nil: // nothing is specified
	case options.GetPid() == runtime.NamespaceMode_POD:
		return status.Error(codes.Unimplemented, "the simulated node cannot share a process namespace among a pod's containers: set shareProcessNamespace to false, or use a kind cluster")
	case options.GetPid() != runtime.NamespaceMode_CONTAINER:
		return status.Error(codes.Unimplemented, "the simulated node cannot give a pod the host's processes: set hostPID to false, or use a kind cluster")
	case options.GetUsernsOptions() != nil && options.GetUsernsOptions().GetMode() == runtime.NamespaceMode_POD:
		return status.Error(codes.Unimplemented, "the simulated node has no user namespaces for pods: leave the pod's hostUsers out, or use a kind cluster")
	}
	if usesHostNetwork(cfg) {
		return nil // its ports are ports of the node anyway
	}
	for _, p := range cfg.PortMappings {
		if p.HostPort > 0 {
			return status.Errorf(codes.Unimplemented, "the simulated node cannot map its port %d to a pod: use a Service instead of hostPort, hostNetwork, or a kind cluster", p.HostPort)
		}
	}
	return nil
}

func usesHostNetwork(cfg *runtime.PodSandboxConfig) bool {
	return cfg.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() == runtime.NamespaceMode_NODE
}

// setUp sets up a new sandbox. After an error, tearDown must be called.
func (s *Server) setUp(sb *sandbox) (err error) {
	if !sb.hostNetwork {
		s.mu.Lock()
		sb.address, err = s.addresses.take()
		sb.holdsAddress = err == nil
		s.mu.Unlock()
		if err != nil {
			return status.Error(codes.ResourceExhausted, err.Error())
		}
	}
	if err := sb.writeFiles(); err != nil {
		return fmt.Errorf("make the pod's files: %w", err)
	}
	if dir := sb.cfg.LogDirectory; dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the pod's log directory: %w", err)
		}
	}
	if sb.namespaces, err = newNamespaces(sb.hostNetwork, sb.cfg.Hostname, sb.cfg.GetLinux().GetSysctls()); err != nil {
		return err
	}
	if sb.hostNetwork {
		return nil
	}
	return attachPod(sb.namespaces, sb.link, sb.address, s.addresses.gateway)
}

// writeFiles writes the files that are mounted into every container of the pod.
func (sb *sandbox) writeFiles() error {
	if err := os.MkdirAll(filepath.Join(sb.dir, "shm"), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(sb.dir, "shm"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	hosts := "127.0.0.1\tlocalhost\n"
	if sb.address.IsValid() && sb.cfg.Hostname != "" {
		hosts += sb.address.String() + "\t" + sb.cfg.Hostname + "\n"
	}
	for name, content := range map[string]string{
		"resolv.conf": resolvConf(sb.cfg.DnsConfig),
		"hostname":    sb.cfg.Hostname + "\n",
		"hosts":       hosts,
	} {
		if err := os.WriteFile(filepath.Join(sb.dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// resolvConf returns the content of resolv.conf(5).
func resolvConf(dns *runtime.DNSConfig) string {
	var b strings.Builder
	if searches := dns.GetSearches(); len(searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(searches, " "))
	}
	for _, server := range dns.GetServers() {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if options := dns.GetOptions(); len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.String()
}
