package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// linkRoot makes a root file system in the cluster's own folder, since nodes see no
// other folders for temporary files. Files are linked where that is possible, which is
// quick and takes no room, and copied otherwise. It writes to h what is quick to read
// about them, so that it changes when they do, and returns their size in bytes.
func linkRoot(ctx context.Context, to, from string, h io.Writer) (size int64, err error) {
	if from, err = filepath.EvalSymlinks(from); err != nil {
		return 0, err
	}
	if info, err := os.Stat(from); err != nil || !info.IsDir() {
		return 0, errors.Join(err, fmt.Errorf("the root file system %s is no folder", from))
	}
	err = filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(name, from)
		fmt.Fprintf(h, "%q %v %d %d\n", below, info.Mode(), info.Size(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			size += info.Size()
		}
		return linkMember(to+below, name, info)
	})
	return size, err
}

// linkMember makes one file, folder or link. Others are left out: a container has its
// own devices.
func linkMember(to, from string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := own(to, info); err != nil {
			return err
		}
		return os.Chmod(to, info.Mode()|0o700) // or it could not be filled, nor removed
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Symlink(target, to); err != nil {
			return err
		}
		return own(to, info)
	case !info.Mode().IsRegular():
		return nil
	}
	if os.Link(from, to) == nil {
		return nil
	}
	// Another file system, or a file of another user.
	if err := copyFile(to, from, io.Discard); err != nil {
		return err
	}
	if err := own(to, info); err != nil {
		return err
	}
	return errors.Join(os.Chmod(to, info.Mode().Perm()), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// own gives a file to the owner that another one has, which only root can.
func own(file string, of fs.FileInfo) error {
	st, ok := of.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(file, int(st.Uid), int(st.Gid))
}
