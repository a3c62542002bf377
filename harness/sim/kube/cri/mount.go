package cri

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// The functions here are called while the node's root is at oldRoot.

func bindAll(mounts []mountSpec) error {
	for _, m := range mounts {
		if err := bind(m); err != nil {
			return fmt.Errorf("%s: %w", m.Target, err)
		}
	}
	return nil
}

// bind mounts a file or folder of the node in the container, with what is mounted below
// it. It creates the target.
func bind(m mountSpec) error {
	source := oldRoot + m.Source
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("the node's file %s: %w", m.Source, errors.Unwrap(err))
	}
	if err := makePlace(m.Target, info.IsDir()); err != nil {
		return err
	}
	if err := unix.Mount(source, m.Target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount the node's %s: %w", m.Source, err)
	}
	if !m.ReadOnly {
		return nil
	}
	return remountReadOnly(m.Target)
}

// makePlace creates the folder or empty file to mount on.
func makePlace(target string, folder bool) error {
	if folder {
		return os.MkdirAll(target, 0o755)
	}
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if err := os.MkdirAll(path.Dir(target), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// remountReadOnly forbids writes through a mount. Flags that the mount has must be
// given again, since in a user namespace they are locked.
func remountReadOnly(target string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(target, &st); err != nil {
		return fmt.Errorf("look at the mount: %w", err)
	}
	flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY)
	for _, f := range []struct{ have, again uintptr }{
		{unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC},
		{unix.ST_NOATIME, unix.MS_NOATIME}, {unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if uintptr(st.Flags)&f.have != 0 {
			flags |= f.again
		}
	}
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("make the mount read-only: %w", err)
	}
	return nil
}

// overlay mounts a folder so that the container can write to it, in its own layer.
// Kernels before 5.11 allow this to root only; then the folder is read-only.
func overlay(source, layer, target string) error {
	upper, work := layer+"/upper", layer+"/work"
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", escape(source), escape(upper), escape(work))
	// userxattr is how overlayfs may record deletions in a user namespace.
	for _, o := range []string{options + ",userxattr", options} {
		if unix.Mount("overlay", target, "overlay", unix.MS_NOSUID|unix.MS_NODEV, o) == nil {
			return nil
		}
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return remountReadOnly(target)
}

// escape quotes a path for the options of overlayfs.
func escape(p string) string { return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(p) }

// mask hides paths: a file by /dev/null, a folder by an empty one. Paths that do not
// exist are skipped.
func mask(paths []string) error {
	for _, p := range paths {
		info, err := os.Stat(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = unix.Mount("tmpfs", p, "tmpfs", unix.MS_RDONLY, "")
		} else {
			err = unix.Mount("/dev/null", p, "", unix.MS_BIND, "")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// protect makes paths read-only. Those that do not exist are skipped.
func protect(paths []string) error {
	for _, p := range paths {
		err := unix.Mount(p, p, "", unix.MS_BIND|unix.MS_REC, "")
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = remountReadOnly(p)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}
