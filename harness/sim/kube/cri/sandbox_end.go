package cri

import (
	"context"
	"errors"
	"os"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StopPodSandbox kills the pod's containers, and removes it from the network. It may be
// called again.
func (s runtimeService) StopPodSandbox(ctx context.Context, req *runtime.StopPodSandboxRequest) (*runtime.StopPodSandboxResponse, error) {
	s.mu.Lock()
	sb := s.sandboxes[req.PodSandboxId]
	s.mu.Unlock()
	if sb == nil {
		return &runtime.StopPodSandboxResponse{}, nil
	}
	if err := s.stopSandbox(ctx, sb); err != nil {
		return nil, err
	}
	return &runtime.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox stops the pod if it runs, and removes it and its containers.
func (s runtimeService) RemovePodSandbox(ctx context.Context, req *runtime.RemovePodSandboxRequest) (*runtime.RemovePodSandboxResponse, error) {
	s.mu.Lock()
	sb := s.sandboxes[req.PodSandboxId]
	s.mu.Unlock()
	if sb == nil {
		return &runtime.RemovePodSandboxResponse{}, nil
	}
	if err := s.removeSandbox(ctx, sb); err != nil {
		return nil, err
	}
	return &runtime.RemovePodSandboxResponse{}, nil
}

func (s *Server) removeSandbox(ctx context.Context, sb *sandbox) error {
	if err := s.stopSandbox(ctx, sb); err != nil {
		return err
	}
	if err := os.RemoveAll(sb.dir); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.containers {
		if c.sandbox == sb {
			delete(s.containers, id)
		}
	}
	delete(s.sandboxes, sb.id)
	return nil
}

// removeAllSandboxes removes all pods at once, when the server no longer answers calls.
func (s *Server) removeAllSandboxes(ctx context.Context) []error {
	s.mu.Lock()
	var all []*sandbox
	for _, sb := range s.sandboxes {
		all = append(all, sb)
	}
	s.mu.Unlock()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, sb := range all {
		wg.Go(func() { errs[i] = s.removeSandbox(ctx, sb) })
	}
	wg.Wait()
	return errs
}

// stopSandbox kills the pod's containers, even one that is just starting, and removes
// the pod from the network.
func (s *Server) stopSandbox(ctx context.Context, sb *sandbox) error {
	s.mu.Lock()
	sb.state = runtime.PodSandboxState_SANDBOX_NOTREADY // nothing starts in it after this
	var inside []*container
	for _, c := range s.containers {
		if c.sandbox == sb {
			inside = append(inside, c)
		}
	}
	s.mu.Unlock()
	errs := make([]error, len(inside))
	var wg sync.WaitGroup
	for i, c := range inside {
		wg.Go(func() { errs[i] = s.stopContainer(ctx, c, 0) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.tearDown(sb)
}

// tearDown disconnects the pod and frees its address, unless that was done before.
func (s *Server) tearDown(sb *sandbox) error {
	sb.teardown.Lock()
	defer sb.teardown.Unlock()
	s.mu.Lock()
	ns, plugged := sb.namespaces, sb.holdsAddress
	s.mu.Unlock()
	if plugged {
		if err := detachPod(sb.link); err != nil {
			return err // the kubelet tries again
		}
	}
	s.mu.Lock()
	if plugged {
		s.addresses.free(sb.address)
	}
	sb.namespaces, sb.holdsAddress = nil, false
	s.mu.Unlock()
	if ns != nil {
		ns.close()
		s.log.line("sandbox %s is gone from the network, address %s", sb.id[:12], sb.address)
	}
	return nil
}

// namespacesOf returns the namespaces of a running sandbox.
func (s *Server) namespacesOf(sandboxID string) (*namespaces, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb := s.sandboxes[sandboxID]
	if sb == nil {
		return nil, noSandbox(sandboxID)
	}
	if sb.state != runtime.PodSandboxState_SANDBOX_READY || sb.namespaces == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "the pod sandbox %q is stopped", sandboxID)
	}
	return sb.namespaces, nil
}
