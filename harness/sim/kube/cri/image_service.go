package cri

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func (s imageService) ListImages(_ context.Context, req *runtime.ListImagesRequest) (*runtime.ListImagesResponse, error) {
	out := &runtime.ListImagesResponse{}
	if name := req.GetFilter().GetImage().GetImage(); name != "" {
		if img, err := s.images.get(name); err == nil {
			out.Images = []*runtime.Image{img.describe()}
		}
		return out, nil
	}
	all, err := s.images.list()
	if err != nil {
		return nil, err
	}
	for _, img := range all {
		out.Images = append(out.Images, img.describe())
	}
	return out, nil
}

func (s imageService) ImageStatus(_ context.Context, req *runtime.ImageStatusRequest) (*runtime.ImageStatusResponse, error) {
	img, err := s.images.get(req.GetImage().GetImage())
	if status.Code(err) == codes.NotFound {
		return &runtime.ImageStatusResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &runtime.ImageStatusResponse{Image: img.describe()}, nil
}

// PullImage finds the image in the store. Nothing is ever downloaded.
func (s imageService) PullImage(_ context.Context, req *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
	img, err := s.images.get(req.GetImage().GetImage())
	if err != nil {
		return nil, err
	}
	return &runtime.PullImageResponse{ImageRef: img.ref}, nil
}

// RemoveImage returns an error: images belong to the owner of the cluster, and all
// nodes share them. Since they are "pinned", the kubelet does not call it.
func (s imageService) RemoveImage(_ context.Context, req *runtime.RemoveImageRequest) (*runtime.RemoveImageResponse, error) {
	if img, err := s.images.get(req.GetImage().GetImage()); err == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "the image %q belongs to the owner of the simulated cluster: a node does not remove it", img.Name)
	}
	return &runtime.RemoveImageResponse{}, nil
}

func (s imageService) ImageFsInfo(context.Context, *runtime.ImageFsInfoRequest) (*runtime.ImageFsInfoResponse, error) {
	all, err := s.images.list()
	if err != nil {
		return nil, err
	}
	var images uint64
	for _, img := range all {
		images += img.size
	}
	return &runtime.ImageFsInfoResponse{
		ImageFilesystems:     []*runtime.FilesystemUsage{usage(s.cfg.Images, images, uint64(len(all)))},
		ContainerFilesystems: []*runtime.FilesystemUsage{usage(s.cfg.Root, 0, 0)}, // containers write to memory
	}, nil
}

func usage(dir string, bytes, inodes uint64) *runtime.FilesystemUsage {
	return &runtime.FilesystemUsage{
		Timestamp: time.Now().UnixNano(),
		FsId:      &runtime.FilesystemIdentifier{Mountpoint: dir},
		UsedBytes: &runtime.UInt64Value{Value: bytes}, InodesUsed: &runtime.UInt64Value{Value: inodes},
	}
}

func (img *image) describe() *runtime.Image {
	out := &runtime.Image{
		Id: img.ref, RepoTags: []string{img.Name}, RepoDigests: []string{img.ref},
		Size: img.size, Username: img.Username,
		Spec: &runtime.ImageSpec{Image: img.Name}, Pinned: true,
	}
	if img.Username == "" { // the kubelet takes a number for the user, whatever the name
		out.Uid = &runtime.Int64Value{Value: int64(img.User)}
	}
	return out
}
