package cri

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rootSize bounds what a container can write to its root, which is in memory.
const rootSize = "512m"

// oldRoot is where the node's root is while the container's is built. So paths of the
// container, and symbolic links in them, mean what they will mean to it. No image can
// have a link into it, since its name is new in each process.
var oldRoot = "/.node-" + strings.ToLower(rand.Text()[:12])

// buildRoot makes the root of a container, in this process's own mount namespace: a
// tmpfs with the image's files, /proc, /dev and the pod's mounts.
func buildRoot(spec *initSpec) error {
	// What is unmounted on the node is unmounted here, too, but not the other way
	// round.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("separate the mounts from the node's: %w", err)
	}
	layers, err := enterRoot(spec)
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"the usual folders", makeFolders},
		{"/proc", mountProc},
		{"/dev", func() error { return makeDevices(spec.Shm) }},
		{"the image's files", func() error { return placeImage(spec.Image, layers) }},
		{"the lists of users and groups", writeUsers},
		{"the mounts", func() error { return bindAll(spec.Mounts) }},
		{"the working directory", func() error { return os.MkdirAll(spec.Process.Dir, 0o755) }},
		{"the hidden paths", func() error { return mask(spec.Masked) }},
		{"the read-only paths", func() error { return protect(spec.ReadOnly) }},
		{"the node's files", leaveNode},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("make the container's root: %s: %w", s.what, err)
		}
	}
	if spec.ReadOnlyRoot {
		if err := remountReadOnly("/"); err != nil {
			return fmt.Errorf("make the container's root read-only: %w", err)
		}
	}
	return nil
}

// enterRoot mounts a tmpfs, makes a folder in it the root, and puts the node's root at
// oldRoot. It returns another folder in it, below oldRoot, for the layers that
// containers write above folders of the image. The container never sees that.
func enterRoot(spec *initSpec) (layers string, err error) {
	if err := unix.Mount("tmpfs", spec.Rootfs, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size="+rootSize); err != nil {
		return "", fmt.Errorf("mount the container's root: %w", err)
	}
	root, layers := filepath.Join(spec.Rootfs, "root"), filepath.Join(spec.Rootfs, "layers")
	for _, dir := range []string{root, layers} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
	}
	// pivot_root requires a mount point: the image's own root, or the folder itself.
	mounted := false
	for _, e := range spec.Image {
		if e.Target == "/" && e.Folder {
			if err := overlay(e.Source, filepath.Join(layers, "root"), root); err != nil {
				return "", fmt.Errorf("mount the image's root: %w", err)
			}
			// All users of a container may enter its root, whoever unpacked it.
			if err := widen(root); err != nil {
				return "", err
			}
			mounted = true
		}
	}
	if !mounted {
		if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(root+oldRoot, 0o700); err != nil {
		return "", err
	}
	if err := unix.PivotRoot(root, root+oldRoot); err != nil {
		return "", fmt.Errorf("change to the container's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return "", err
	}
	return oldRoot + layers, nil
}

// widen lets everybody enter and read a folder.
func widen(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&0o555 == 0o555 {
		return err
	}
	return os.Chmod(dir, info.Mode()|0o555)
}

// leaveNode removes the node's root.
func leaveNode() error {
	if err := unix.Unmount(oldRoot, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(oldRoot)
}

func makeFolders() error {
	for _, dir := range []string{"/proc", "/dev", "/etc", "/tmp", "/root"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.Chmod("/tmp", 0o777|os.ModeSticky)
}

func mountProc() error {
	return unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// makeDevices fills /dev with devices of the node, since only root of the host may make
// others.
func makeDevices(shm string) error {
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		err := bind(mountSpec{Source: "/dev/" + name, Target: "/dev/" + name})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
		"ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/dev/pts", 0o755); err != nil {
		return err
	}
	// Without it a program can't make terminals, which few do.
	_ = unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	return bind(mountSpec{Source: shm, Target: "/dev/shm"})
}

// placeImage mounts the image's files and folders. All containers share them. So files
// are read-only, and containers write to folders in their own layer.
func placeImage(entries []imageEntry, layers string) error {
	for i, e := range entries {
		var err error
		switch {
		case e.Target == "/" && e.Folder: // done by enterRoot
		case e.Folder:
			if err = os.MkdirAll(e.Target, 0o755); err == nil {
				err = overlay(oldRoot+e.Source, path.Join(layers, strconv.Itoa(i)), e.Target)
			}
		default:
			err = bind(mountSpec{Source: e.Source, Target: e.Target, ReadOnly: true})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Target, err)
		}
	}
	return nil
}

// writeUsers writes names of root and the usual other users, unless the image does.
func writeUsers() error {
	for file, text := range map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
		"/etc/group":  "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n",
	} {
		if _, err := os.Lstat(file); err == nil {
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// lookPath finds a program as execvp(3) does, with the PATH in env.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	for _, e := range env {
		list, ok := strings.CutPrefix(e, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			if p := filepath.Join(dir, name); executable(p) == nil {
				return p, nil
			}
		}
		return "", fmt.Errorf("the program %q is in no folder of the container's PATH (%s)", name, list)
	}
	return "", fmt.Errorf("the program %q has no slash, and the container has no PATH", name)
}

// executable returns an error that says why a file can't be executed, if that is
// apparent.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the program %q is not in the container", file)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("the program %q is a folder", file)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("the program %q is not executable: chmod +x it before it is loaded", file)
	}
	return nil
}
