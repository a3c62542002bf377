package cri

import (
	"context"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (s runtimeService) ContainerStatus(_ context.Context, req *runtime.ContainerStatusRequest) (*runtime.ContainerStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[req.ContainerId]
	if c == nil {
		return nil, noContainer(req.ContainerId)
	}
	who := c.spec.Process.Identity
	groups := make([]int64, len(who.Groups))
	for i, g := range who.Groups {
		groups[i] = int64(g)
	}
	return &runtime.ContainerStatusResponse{Status: &runtime.ContainerStatus{
		Id: c.id, Metadata: c.cfg.Metadata, State: c.state,
		CreatedAt: c.created.UnixNano(), StartedAt: nanoseconds(c.startedAt), FinishedAt: nanoseconds(c.finishedAt),
		ExitCode: c.exitCode, Reason: c.reason, Message: c.message,
		Image: c.imageSpec(), ImageRef: c.image.ref, ImageId: c.image.ref,
		Labels: c.cfg.Labels, Annotations: c.cfg.Annotations, Mounts: c.cfg.Mounts, LogPath: c.log.path,
		StopSignal: c.stopSignalName(),
		User: &runtime.ContainerUser{Linux: &runtime.LinuxContainerUser{
			Uid: int64(who.UID), Gid: int64(who.GID), SupplementalGroups: groups,
		}},
	}}, nil
}

func (s runtimeService) ListContainers(_ context.Context, req *runtime.ListContainersRequest) (*runtime.ListContainersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &runtime.ListContainersResponse{}
	f := req.GetFilter()
	for _, c := range s.containers {
		if f.GetId() != "" && f.GetId() != c.id ||
			f.GetPodSandboxId() != "" && f.GetPodSandboxId() != c.sandbox.id ||
			f.GetState() != nil && f.GetState().State != c.state ||
			!matches(f.GetLabelSelector(), c.cfg.Labels) {
			continue
		}
		out.Containers = append(out.Containers, &runtime.Container{
			Id: c.id, PodSandboxId: c.sandbox.id, Metadata: c.cfg.Metadata, State: c.state, CreatedAt: c.created.UnixNano(),
			Image: c.imageSpec(), ImageRef: c.image.ref, ImageId: c.image.ref,
			Labels: c.cfg.Labels, Annotations: c.cfg.Annotations,
		})
	}
	return out, nil
}

func (c *container) imageSpec() *runtime.ImageSpec {
	return &runtime.ImageSpec{Image: c.image.Name, UserSpecifiedImage: c.cfg.GetImage().GetUserSpecifiedImage()}
}

// nanoseconds returns t in ns since 1970, and 0 for the zero time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
