package kubelet

import (
	"context"
	"runtime"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	cadvisorapiv2 "github.com/google/cadvisor/info/v2"
	"golang.org/x/sys/unix"
	"k8s.io/kubernetes/pkg/kubelet/cadvisor"
)

// The size of a node is fixed, so that the scheduler's decisions do not depend on the
// host.
const (
	cores  = 8
	memory = 16 << 30
)

// machine is what the kubelet learns about the hardware: a fixed size, and the real
// numbers of the file system. Without cgroups there are no statistics.
type machine struct{ name, root string }

var _ cadvisor.Interface = &machine{}

func (m *machine) Start() error { return nil }

func (m *machine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	return &cadvisorapi.MachineInfo{
		NumCores: cores, MemoryCapacity: memory, MachineID: m.name, SystemUUID: m.name, BootID: m.name,
	}, nil
}

func (m *machine) VersionInfo() (*cadvisorapi.VersionInfo, error) {
	version := "unknown"
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		version = unix.ByteSliceToString(u.Release[:])
	}
	return &cadvisorapi.VersionInfo{KernelVersion: version, ContainerOsVersion: "simulated node (" + runtime.GOOS + ")"}, nil
}

func (m *machine) ContainerInfoV2(string, cadvisorapiv2.RequestOptions) (map[string]cadvisorapiv2.ContainerInfo, error) {
	return map[string]cadvisorapiv2.ContainerInfo{}, nil
}

func (m *machine) GetRequestedContainersInfo(string, cadvisorapiv2.RequestOptions) (map[string]*cadvisorapi.ContainerInfo, error) {
	return map[string]*cadvisorapi.ContainerInfo{}, nil
}

func (m *machine) ImagesFsInfo(context.Context) (cadvisorapiv2.FsInfo, error) {
	return m.GetDirFsInfo(m.root)
}

func (m *machine) ContainerFsInfo(context.Context) (cadvisorapiv2.FsInfo, error) {
	return m.GetDirFsInfo(m.root)
}

func (m *machine) RootFsInfo() (cadvisorapiv2.FsInfo, error) { return m.GetDirFsInfo(m.root) }

func (m *machine) GetDirFsInfo(path string) (cadvisorapiv2.FsInfo, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return cadvisorapiv2.FsInfo{}, err
	}
	block := uint64(st.Bsize)
	return cadvisorapiv2.FsInfo{
		Timestamp: time.Now(), Device: "simulated", Mountpoint: "/",
		Capacity: st.Blocks * block, Available: st.Bavail * block, Usage: (st.Blocks - st.Bfree) * block,
	}, nil
}
