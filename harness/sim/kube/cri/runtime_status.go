package cri

import (
	"context"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Name and version under which the runtime appears in a Node's status and in the
// container IDs of a Pod's status, as "simulated://...".
const (
	runtimeName    = "simulated"
	runtimeVersion = "1.0.0"
	criVersion     = "v1"
)

// runtimeService and imageService are the two gRPC services. They are types apart
// from Server so that it exports no more than Start and Stop. What they do not
// define is answered with Unimplemented (the evented PLEG and the streamed lists,
// feature gates that are off; checkpoints).
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
		Version:     "0.1.0", // of kubelet's API: the only value it has ever had
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

// UpdateRuntimeConfig tells the pod network, which Config has given already.
func (runtimeService) UpdateRuntimeConfig(context.Context, *runtime.UpdateRuntimeConfigRequest) (*runtime.UpdateRuntimeConfigResponse, error) {
	return &runtime.UpdateRuntimeConfigResponse{}, nil
}

// UpdateContainerResources has nothing to change without cgroups.
func (runtimeService) UpdateContainerResources(context.Context, *runtime.UpdateContainerResourcesRequest) (*runtime.UpdateContainerResourcesResponse, error) {
	return &runtime.UpdateContainerResourcesResponse{}, nil
}

// UpdatePodSandboxResources: as UpdateContainerResources.
func (runtimeService) UpdatePodSandboxResources(context.Context, *runtime.UpdatePodSandboxResourcesRequest) (*runtime.UpdatePodSandboxResourcesResponse, error) {
	return &runtime.UpdatePodSandboxResourcesResponse{}, nil
}
