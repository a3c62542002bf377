package cri

import (
	"context"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Name and version of the runtime, in a Node's status and in the container IDs of a
// Pod's status ("simulated://...").
const (
	runtimeName    = "simulated"
	runtimeVersion = "1.0.0"
	criVersion     = "v1"
)

// runtimeService and imageService are the two gRPC services. They are separate from
// Server so that it exports only Start and Stop. Calls that they do not define return
// Unimplemented: checkpoints, and evented PLEG and streamed lists, whose feature gates
// are off.
type runtimeService struct {
	runtime.UnimplementedRuntimeServiceServer
	*Server
}

type imageService struct {
	runtime.UnimplementedImageServiceServer
	*Server
}

func (runtimeService) Version(context.Context, *runtime.VersionRequest) (*runtime.VersionResponse, error) {
	return &runtime.VersionResponse{
		Version:     "0.1.0", // version of the kubelet's API; it never had another value
		RuntimeName: runtimeName, RuntimeVersion: runtimeVersion, RuntimeApiVersion: criVersion,
	}, nil
}

func (runtimeService) Status(context.Context, *runtime.StatusRequest) (*runtime.StatusResponse, error) {
	return &runtime.StatusResponse{
		Status: &runtime.RuntimeStatus{Conditions: []*runtime.RuntimeCondition{
			{Type: runtime.RuntimeReady, Status: true},
			{Type: runtime.NetworkReady, Status: true},
		}},
		RuntimeHandlers: []*runtime.RuntimeHandler{{Features: &runtime.RuntimeHandlerFeatures{}}},
		Features:        &runtime.RuntimeFeatures{SupplementalGroupsPolicy: true},
	}, nil
}

func (runtimeService) RuntimeConfig(context.Context, *runtime.RuntimeConfigRequest) (*runtime.RuntimeConfigResponse, error) {
	return &runtime.RuntimeConfigResponse{Linux: &runtime.LinuxRuntimeConfiguration{CgroupDriver: runtime.CgroupDriver_CGROUPFS}}, nil
}

// UpdateRuntimeConfig receives the pod network, which is already in Config.
func (runtimeService) UpdateRuntimeConfig(context.Context, *runtime.UpdateRuntimeConfigRequest) (*runtime.UpdateRuntimeConfigResponse, error) {
	return &runtime.UpdateRuntimeConfigResponse{}, nil
}

// UpdateContainerResources changes nothing, as there are no cgroups.
func (runtimeService) UpdateContainerResources(context.Context, *runtime.UpdateContainerResourcesRequest) (*runtime.UpdateContainerResourcesResponse, error) {
	return &runtime.UpdateContainerResourcesResponse{}, nil
}

// UpdatePodSandboxResources changes nothing, as there are no cgroups.
func (runtimeService) UpdatePodSandboxResources(context.Context, *runtime.UpdatePodSandboxResourcesRequest) (*runtime.UpdatePodSandboxResourcesResponse, error) {
	return &runtime.UpdatePodSandboxResourcesResponse{}, nil
}
