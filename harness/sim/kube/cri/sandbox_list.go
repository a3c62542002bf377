package cri

import (
	"context"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (s runtimeService) PodSandboxStatus(_ context.Context, req *runtime.PodSandboxStatusRequest) (*runtime.PodSandboxStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb := s.sandboxes[req.PodSandboxId]
	if sb == nil {
		return nil, noSandbox(req.PodSandboxId)
	}
	st := &runtime.PodSandboxStatus{
		Id: sb.id, Metadata: sb.cfg.Metadata, State: sb.state, CreatedAt: sb.created.UnixNano(),
		Labels: sb.cfg.Labels, Annotations: sb.cfg.Annotations, RuntimeHandler: sb.handler,
		Linux:   &runtime.LinuxPodSandboxStatus{Namespaces: &runtime.Namespace{Options: sb.cfg.GetLinux().GetSecurityContext().GetNamespaceOptions()}},
		Network: &runtime.PodSandboxNetworkStatus{},
	}
	if sb.holdsAddress {
		st.Network.Ip = sb.address.String() // with hostNetwork it is the node's, which the kubelet knows
	}
	return &runtime.PodSandboxStatusResponse{Status: st, Timestamp: time.Now().UnixNano()}, nil
}

func (s runtimeService) ListPodSandbox(_ context.Context, req *runtime.ListPodSandboxRequest) (*runtime.ListPodSandboxResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &runtime.ListPodSandboxResponse{}
	f := req.GetFilter()
	for _, sb := range s.sandboxes {
		if f.GetId() != "" && f.GetId() != sb.id ||
			f.GetState() != nil && f.GetState().State != sb.state ||
			!matches(f.GetLabelSelector(), sb.cfg.Labels) {
			continue
		}
		out.Items = append(out.Items, &runtime.PodSandbox{
			Id: sb.id, Metadata: sb.cfg.Metadata, State: sb.state, CreatedAt: sb.created.UnixNano(),
			Labels: sb.cfg.Labels, Annotations: sb.cfg.Annotations, RuntimeHandler: sb.handler,
		})
	}
	return out, nil
}

// matches reports whether the labels have all those of the selector.
func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}
