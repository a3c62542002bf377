package cri

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// defaultPath is where a program without a slash is looked for, if neither image
// nor pod say it; as containerd's.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// plan makes of a container's configuration what its process 1 is told. It fails
// with a reason where the configuration asks for what cannot be.
func (s *Server) plan(sb *sandbox, cfg *runtime.ContainerConfig, img *image) (*initSpec, error) {
	security := cfg.GetLinux().GetSecurityContext()
	args, err := arguments(cfg, img)
	if err != nil {
		return nil, err
	}
	who, rights, err := whoAndRights(security, img.User)
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
			Args: args, Env: environment(sb, cfg, img, who), Dir: cfg.WorkingDir,
			Identity: who, Rights: rights,
		},
	}
	if spec.Process.Dir == "" {
		spec.Process.Dir = "/"
	}
	if !security.GetPrivileged() {
		spec.Masked, spec.ReadOnly = security.GetMaskedPaths(), security.GetReadonlyPaths()
	}
	return spec, nil
}

// arguments are the image's entrypoint, which the pod's command replaces, and the
// pod's args.
func arguments(cfg *runtime.ContainerConfig, img *image) ([]string, error) {
	args := slices.Clone(cfg.Command)
	if len(args) == 0 {
		args = slices.Clone(img.Entrypoint)
	}
	args = append(args, cfg.Args...)
	if len(args) == 0 || args[0] == "" {
		return nil, fmt.Errorf("nothing to run: the image %q has no entrypoint and the container no command", img.Name)
	}
	return args, nil
}

// environment is what a container starts with; later settings replace earlier
// ones of the same name.
func environment(sb *sandbox, cfg *runtime.ContainerConfig, img *image, who identity) []string {
	home := "/"
	if who.UID == 0 {
		home = "/root"
	}
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

// planMounts is the pod's own files, unless kubelet mounts something there, and
// what kubelet wants, parents before children.
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
	// The container's root is built where the node's root is another folder, so a
	// symbolic link on the way is followed here.
	source, err := filepath.EvalSymlinks(m.HostPath)
	if err == nil && !filepath.IsAbs(source) {
		err = errors.New("it must be absolute")
	}
	if err != nil {
		return mountSpec{}, fmt.Errorf("the mount at %s: the node's path %q: %w", m.ContainerPath, m.HostPath, err)
	}
	return mountSpec{Source: source, Target: path.Clean(m.ContainerPath), ReadOnly: m.Readonly}, nil
}

// checkNamespaces: see checkSandbox for the pod's own. "kubectl debug --target"
// asks for another container's processes.
func checkNamespaces(o *runtime.NamespaceOption) error {
	if o.GetPid() == runtime.NamespaceMode_TARGET {
		return errors.New("the simulated node cannot join another container's processes (kubectl debug --target): use kubectl exec, or a kind cluster")
	}
	return nil
}
