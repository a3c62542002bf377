package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WriteArchive writes the image as docker save does, under a name, for a container
// engine to load. A root file system becomes an image of one layer.
func (i *Image) WriteArchive(ctx context.Context, as string, to io.Writer) (err error) {
	tag, err := name.NewTag(as)
	if err != nil {
		return unusable("%q can't be an image's name: %w", as, err)
	}
	layers := i.layers
	switch i.Kind {
	case Program:
		return unusable("%s is a program", i.Path)
	case RootFS:
		temp, err := NewTemp()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, temp.Close()) }()
		file := filepath.Join(temp.Dir, "layer.tar")
		if err := i.writeLayer(ctx, file); err != nil {
			return err
		}
		layer, err := tarball.LayerFromFile(file, tarball.WithCompression(compression.None))
		if err != nil {
			return err
		}
		if layers, err = mutate.AppendLayers(empty.Image, layer); err != nil {
			return err
		}
		config, err := layers.ConfigFile()
		if err != nil {
			return err
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", runtime.GOARCH
		if layers, err = mutate.ConfigFile(layers, config); err != nil {
			return err
		}
		return tarball.Write(tag, layers, to)
	}
	return tarball.Write(tag, layers, to)
}

// writeLayer writes a root file system as a layer.
func (i *Image) writeLayer(ctx context.Context, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // #nosec G304 -- in a folder of our own
	if err != nil {
		return err
	}
	room, err := newRoom(filepath.Dir(file))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w := tar.NewWriter(f)
	err = filepath.WalkDir(i.Path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return writeMember(ctx, w, room, name, strings.TrimPrefix(strings.TrimPrefix(name, i.Path), "/"), d)
	})
	if err := errors.Join(err, w.Close(), f.Close()); err != nil {
		return i.explain(err)
	}
	return nil
}

func writeMember(ctx context.Context, w *tar.Writer, room *room, file, inside string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil || inside == "" {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	case !info.Mode().IsRegular() && !info.IsDir():
		return nil // a container has its own devices
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname = inside, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		h.Uid, h.Gid = int(st.Uid), int(st.Gid)
	}
	if os.Geteuid() != 0 {
		h.Uid, h.Gid = 0, 0 // whoever has unpacked it was not asked
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(file) // #nosec G304 -- the user names the folder
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // only read
	if err := room.copy(ctx, w, content); err != nil {
		return fmt.Errorf("%s: %w", inside, err)
	}
	return nil
}
