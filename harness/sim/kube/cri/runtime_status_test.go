package cri

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestRuntimeIsReady(t *testing.T) {
	n := newNode(t)
	v, err := n.runtime.Version(n.ctx(), &runtime.VersionRequest{})
	must(t, err)
	if v.RuntimeName != "simulated" || v.RuntimeApiVersion != "v1" {
		t.Errorf("version: %v", v)
	}
	st, err := n.runtime.Status(n.ctx(), &runtime.StatusRequest{})
	must(t, err)
	ready := map[string]bool{}
	for _, c := range st.Status.Conditions {
		ready[c.Type] = c.Status
	}
	if !ready[runtime.RuntimeReady] || !ready[runtime.NetworkReady] {
		t.Errorf("status: %v", st)
	}
	// If the kubelet has a fallback for a call, it must return Unimplemented.
	events, err := n.runtime.GetContainerEvents(n.ctx(), &runtime.GetEventsRequest{})
	must(t, err)
	if _, err := events.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("events: %v", err)
	}
}

func TestStatsKnowWhatExists(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	id := pod.create("c", nil)
	c, err := n.runtime.ContainerStats(n.ctx(), &runtime.ContainerStatsRequest{ContainerId: id})
	must(t, err)
	p, err := n.runtime.PodSandboxStats(n.ctx(), &runtime.PodSandboxStatsRequest{PodSandboxId: pod.id})
	must(t, err)
	if c.Stats.Attributes.Id != id || p.Stats.Attributes.Id != pod.id {
		t.Errorf("stats: %v, %v", c, p)
	}
	if _, err := n.runtime.ContainerStats(n.ctx(), &runtime.ContainerStatsRequest{ContainerId: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("of an unknown container: %v", err)
	}
	if _, err := n.runtime.PodSandboxStats(n.ctx(), &runtime.PodSandboxStatsRequest{PodSandboxId: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("of an unknown pod: %v", err)
	}
}
