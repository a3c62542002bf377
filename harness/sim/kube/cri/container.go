package cri

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A container is created, then runs, and then has exited. It never runs again.
type container struct {
	id      string
	sandbox *sandbox
	cfg     *runtime.ContainerConfig
	image   *image
	spec    *initSpec // instructions for its process 1
	created time.Time
	log     *containerLog

	settled chan struct{} // closed when StartContainer has returned, or the container was stopped before that
	done    chan struct{} // closed when it has exited

	// Guarded by Server.mu.
	state      runtime.ContainerState
	starting   bool      // StartContainer is in progress
	process    *exec.Cmd // its process 1, while it may be sent signals
	enterable  bool      // its namespaces can be entered
	signalled  bool      // the stop signal was sent
	startedAt  time.Time
	finishedAt time.Time
	exitCode   int32
	reason     string
	message    string
}

func noContainer(id string) error {
	return status.Errorf(codes.NotFound, "there is no container %q", id)
}

// name returns a name for log lines.
func (c *container) name() string {
	pod := c.sandbox.cfg.GetMetadata()
	return fmt.Sprintf("%s of %s/%s (%s)", c.cfg.GetMetadata().GetName(), pod.GetNamespace(), pod.GetName(), c.id[:12])
}

// get returns the container of this ID.
func (s *Server) get(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[id]
	if c == nil {
		return nil, noContainer(id)
	}
	return c, nil
}

// CreateContainer determines everything that StartContainer needs, so that it is the
// one that reports an invalid request.
func (s runtimeService) CreateContainer(_ context.Context, req *runtime.CreateContainerRequest) (*runtime.CreateContainerResponse, error) {
	cfg := req.Config
	if cfg == nil {
		return nil, status.Error(codes.InvalidArgument, "the container has no configuration")
	}
	s.mu.Lock()
	sb := s.sandboxes[req.PodSandboxId]
	s.mu.Unlock()
	if sb == nil {
		return nil, noSandbox(req.PodSandboxId)
	}
	img, err := s.images.get(cfg.GetImage().GetImage())
	if err != nil {
		return nil, err
	}
	spec, err := s.plan(sb, cfg, img)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	c := &container{
		id: newID(), sandbox: sb, cfg: cfg, image: img, spec: spec, created: time.Now(),
		log:     &containerLog{journal: s.log},
		settled: make(chan struct{}), done: make(chan struct{}),
	}
	if cfg.LogPath != "" {
		c.log.path = filepath.Join(sb.cfg.LogDirectory, cfg.LogPath)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sb.state != runtime.PodSandboxState_SANDBOX_READY {
		return nil, status.Errorf(codes.FailedPrecondition, "the pod sandbox %q is stopped", sb.id)
	}
	s.containers[c.id] = c
	return &runtime.CreateContainerResponse{ContainerId: c.id}, nil
}

// RemoveContainer kills the container if it runs, and removes it.
func (s runtimeService) RemoveContainer(ctx context.Context, req *runtime.RemoveContainerRequest) (*runtime.RemoveContainerResponse, error) {
	c, err := s.get(req.ContainerId)
	if err != nil {
		return &runtime.RemoveContainerResponse{}, nil // it is gone already
	}
	if err := s.stopContainer(ctx, c, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	delete(s.containers, c.id)
	s.mu.Unlock()
	return &runtime.RemoveContainerResponse{}, nil
}

// ReopenContainerLog continues the log in a new file at the same path, after the
// kubelet has renamed the old one.
func (s runtimeService) ReopenContainerLog(_ context.Context, req *runtime.ReopenContainerLogRequest) (*runtime.ReopenContainerLogResponse, error) {
	c, err := s.get(req.ContainerId)
	if err != nil {
		return nil, err
	}
	if err := c.log.reopen(); err != nil {
		return nil, err
	}
	return &runtime.ReopenContainerLogResponse{}, nil
}
