package cri

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// defaultPath is the PATH if neither image nor pod set one, as in containerd.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// plan turns a container's configuration into the instructions for its process 1. It
// returns an error if something in the configuration is not possible.
func (s *Server) plan(sb *sandbox, cfg *runtime.ContainerConfig, img *image) (*initSpec, error) {
	security := cfg.GetLinux().GetSecurityContext()
	args, err := arguments(cfg, img)
	if err != nil {
		return nil, err
	}
	who, home, rights, err := whoAndRights(security, img)
	if err != nil {
		return nil, err
	}
	mounts, err := planMounts(sb, cfg)
	if err != nil {
		return nil, err
	}
	if err := checkNamespaces(security.GetNamespaceOptions()); err != nil {
		return nil, err
	}
	spec := &initSpec{
		Rootfs: s.rootfs, Image: img.entries, Mounts: mounts, Shm: filepath.Join(sb.dir, "shm"),
		ReadOnlyRoot: security.GetReadonlyRootfs(),
		Process: process{
			Args: args, Env: environment(sb, cfg, img, home), Dir: cmp.Or(cfg.WorkingDir, img.WorkingDir, "/"),
			Identity: who, Rights: rights,
		},
	}
	if !security.GetPrivileged() {
		spec.Masked, spec.ReadOnly = security.GetMaskedPaths(), security.GetReadonlyPaths()
	}
	return spec, nil
}

// arguments returns the pod's command, or else the image's entrypoint, followed by the
// pod's args, or else, if the pod has no command either, by the image's own.
func arguments(cfg *runtime.ContainerConfig, img *image) ([]string, error) {
	args := slices.Clone(cfg.Command)
	if len(args) == 0 {
		args = slices.Clone(img.Entrypoint)
		if len(cfg.Args) == 0 {
			args = append(args, img.Cmd...)
		}
	}
	args = append(args, cfg.Args...)
	if len(args) == 0 || args[0] == "" {
		return nil, fmt.Errorf("nothing to run: the image %q has no entrypoint and the container no command", img.Name)
	}
	return args, nil
}

// environment returns the variables of a container. If there are several of one name,
// it is the last.
func environment(sb *sandbox, cfg *runtime.ContainerConfig, img *image, home string) []string {
	env := []string{"PATH=" + defaultPath, "HOSTNAME=" + sb.cfg.Hostname, "HOME=" + home}
	if cfg.Tty {
		env = append(env, "TERM=xterm")
	}
	env = append(env, img.Env...)
	for _, e := range cfg.Envs {
		env = append(env, e.Key+"="+string(e.Value))
	}
	place := map[string]int{}
	out := env[:0]
	for _, e := range env {
		key, _, _ := strings.Cut(e, "=")
		if i, ok := place[key]; ok {
			out[i] = e
			continue
		}
		place[key] = len(out)
		out = append(out, e)
	}
	return out
}

// planMounts returns the kubelet's mounts, and the pod's own files unless the kubelet
// mounts something there; parents before children.
func planMounts(sb *sandbox, cfg *runtime.ContainerConfig) ([]mountSpec, error) {
	var mounts []mountSpec
	taken := map[string]bool{}
	for _, m := range cfg.Mounts {
		mount, err := planMount(m)
		if err != nil {
			return nil, err
		}
		taken[mount.Target] = true
		mounts = append(mounts, mount)
	}
	readOnly := cfg.GetLinux().GetSecurityContext().GetReadonlyRootfs()
	for _, name := range []string{"resolv.conf", "hostname", "hosts"} {
		if target := "/etc/" + name; !taken[target] {
			mounts = append(mounts, mountSpec{Source: filepath.Join(sb.dir, name), Target: target, ReadOnly: readOnly})
		}
	}
	slices.SortStableFunc(mounts, func(a, b mountSpec) int { return depth(a.Target) - depth(b.Target) })
	return mounts, nil
}

func depth(p string) int {
	if p == "/" {
		return 0
	}
	return strings.Count(p, "/")
}

func planMount(m *runtime.Mount) (mountSpec, error) {
	if m.Image != nil {
		return mountSpec{}, fmt.Errorf("the mount at %s: the simulated node cannot mount an image as a volume; use a ConfigMap or a kind cluster", m.ContainerPath)
	}
	if m.Propagation == runtime.MountPropagation_PROPAGATION_BIDIRECTIONAL {
		return mountSpec{}, fmt.Errorf("the mount at %s: the simulated node has no mountPropagation Bidirectional; use None or HostToContainer", m.ContainerPath)
	}
	if !path.IsAbs(m.ContainerPath) {
		return mountSpec{}, fmt.Errorf("a mount's path in the container must be absolute, not %q", m.ContainerPath)
	}
	// The container's root is built when the node's root is at another path, so
	// symbolic links must be resolved here.
	source, err := filepath.EvalSymlinks(m.HostPath)
	if err == nil && !filepath.IsAbs(source) {
		err = errors.New("it must be absolute")
	}
	if err != nil {
		return mountSpec{}, fmt.Errorf("the mount at %s: the node's path %q: %w", m.ContainerPath, m.HostPath, err)
	}
	return mountSpec{Source: source, Target: path.Clean(m.ContainerPath), ReadOnly: m.Readonly}, nil
}

// checkNamespaces refuses another container's processes, for which "kubectl debug
// --target" asks. See checkSandbox for the other namespaces.
func checkNamespaces(o *runtime.NamespaceOption) error {
	if o.GetPid() == runtime.NamespaceMode_TARGET {
		return errors.New("the simulated node cannot join another container's processes (kubectl debug --target): use kubectl exec, or a kind cluster")
	}
	return nil
}
