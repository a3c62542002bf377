package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
)

const (
	// stopTimeout bounds the end of all containers in Stop. They are killed, so that
	// only the kernel has work left.
	stopTimeout = 10 * time.Second

	// maxSocketPath is the longest path of a unix socket (sun_path with a terminating
	// zero, unix(7)).
	maxSocketPath = 107

	// maxMessage bounds a gRPC message, in bytes; the kubelet has the same limit.
	maxMessage = 16 << 20

	// headerTimeout bounds the time in which a client of the streaming server must send
	// the header of its request.
	headerTimeout = 10 * time.Second
)

// Config is the configuration of a node's runtime.
type Config struct {
	// Root is the node's state directory, which is created. It has pods' files, and the
	// folder on which containers mount their root. The socket of Start may be in it.
	Root string

	// Images is the directory of the image store; see imageStore.
	Images string

	// NodeIP is the node's address, on which the streaming server (exec, port-forward)
	// listens.
	NodeIP net.IP

	// PodNetwork has the addresses of the node's pods, IPv4. The first one is the
	// gateway's, at the node's end of pods' links.
	PodNetwork netip.Prefix

	// Log gets a line for each call that changes something or fails, and for each
	// change of state. Writes are serialized. Nil: no log.
	Log io.Writer
}

func (c Config) validate() error {
	switch {
	case c.Root == "":
		return errors.New("the runtime needs a state directory (Config.Root)")
	case c.Images == "":
		return errors.New("the runtime needs an image store (Config.Images)")
	case c.NodeIP == nil:
		return errors.New("the runtime needs the node's address (Config.NodeIP)")
	case !c.PodNetwork.IsValid() || !c.PodNetwork.Addr().Is4() || c.PodNetwork.Bits() > 29:
		return fmt.Errorf("the pod network must be an IPv4 prefix of at most 29 bits, such as 10.244.1.0/24, not %q", c.PodNetwork)
	}
	return nil
}

// Server is a running runtime. Its methods may be called concurrently.
type Server struct {
	cfg    Config
	log    *journal
	images imageStore
	rootfs string // an empty folder, on which each container mounts its root in its own mount namespace

	// alive ends when Stop begins. Everything that serves a client ends with it.
	alive context.Context
	end   context.CancelFunc

	calls   *grpc.Server
	http    *http.Server
	streams streaming.Server
	serving sync.WaitGroup // the goroutines of the two servers

	ownsRoute bool // the blackhole route was set by Start

	stopOnce sync.Once
	stopErr  error

	// mu guards the following fields, and every field of a sandbox or container that
	// changes after its creation. It is never held while waiting.
	mu         sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
	addresses  addressPool
	streaming  sync.WaitGroup // streams that are served; begun under mu, while alive
}

// Start serves the CRI (runtime and image service) on the unix socket, and the
// streaming server on the node's address. The process must be in the node's network and
// mount namespace and have the rights to make others (CAP_SYS_ADMIN and CAP_NET_ADMIN).
// Its main function must call InitRole if its name is InitRoleName.
func Start(cfg Config, socket string) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("the socket's path %q is longer than the %d bytes that the system allows: choose a shorter one", socket, maxSocketPath)
	}
	s := &Server{
		cfg:        cfg,
		log:        &journal{w: cfg.Log},
		images:     imageStore{dir: cfg.Images},
		rootfs:     filepath.Join(cfg.Root, "rootfs"),
		sandboxes:  map[string]*sandbox{},
		containers: map[string]*container{},
		addresses:  newAddressPool(cfg.PodNetwork),
	}
	defaultSignals()
	s.alive, s.end = context.WithCancel(context.Background())
	if err := s.start(socket); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(socket string) error {
	if err := os.MkdirAll(s.rootfs, 0o755); err != nil {
		return fmt.Errorf("make the runtime's state folder: %w", err)
	}
	var err error
	if s.ownsRoute, err = addBlackhole(s.cfg.PodNetwork); err != nil {
		return err
	}
	if err := s.serveStreams(); err != nil {
		return err
	}
	return s.serveCalls(socket)
}

// serveCalls starts the gRPC server.
func (s *Server) serveCalls(socket string) error {
	// A socket left by a process that was killed would refuse clients.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old socket of the runtime: %w", err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for kubelet: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	s.calls = grpc.NewServer(
		grpc.UnaryInterceptor(s.log.intercept),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(2*execOutputLimit+1<<20),
		grpc.WaitForHandlers(true), // so that Stop leaves no call that still changes something
	)
	runtime.RegisterRuntimeServiceServer(s.calls, runtimeService{Server: s})
	runtime.RegisterImageServiceServer(s.calls, imageService{Server: s})
	s.serving.Go(func() {
		if err := s.calls.Serve(l); err != nil {
			s.log.line("the runtime's socket fails: %v", err)
		}
	})
	return nil
}

// serveStreams starts the HTTP server for exec and port-forward, on a free port.
func (s *Server) serveStreams() error {
	l, err := net.Listen("tcp", net.JoinHostPort(s.cfg.NodeIP.String(), "0"))
	if err != nil {
		return fmt.Errorf("listen for streams on the node's address: %w", err)
	}
	cfg := streaming.DefaultConfig
	cfg.BaseURL = &url.URL{Scheme: "http", Host: l.Addr().String()}
	if s.streams, err = streaming.NewServer(cfg, streamRuntime{s}); err != nil {
		return errors.Join(err, l.Close())
	}
	s.http = &http.Server{Handler: s.streams, ReadHeaderTimeout: headerTimeout}
	s.serving.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.line("the streaming server fails: %v", err)
		}
	})
	return nil
}

// Stop ends the servers, kills all containers, and removes the pods' links and files.
// Only the first call does so; the others return its result.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() { s.stopErr = s.stop() })
	return s.stopErr
}

func (s *Server) stop() error {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close() // the error of its listener, which does not matter any more
	}
	if s.calls != nil {
		s.calls.Stop()
	}
	s.serving.Wait()
	s.streaming.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	errs := s.removeAllSandboxes(ctx)
	if s.ownsRoute {
		errs = append(errs, removeBlackhole(s.cfg.PodNetwork))
	}
	return errors.Join(errs...)
}

// defaultSignals catches signals that this process ignores, and drops them. Programs
// that it executes would inherit that a signal is ignored, so that Ctrl-C had no effect
// in a container. For a caught signal they have the default action.
func defaultSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTERM} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}
