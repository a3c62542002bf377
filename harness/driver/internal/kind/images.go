package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"kubernaut.io/dynamic-toolset/harness/cluster"
)

// LoadImage loads an image into every node, unless the same one was loaded before.
func (c *kindCluster) LoadImage(ctx context.Context, image cluster.Image) error {
	c.loading.Lock() // one image at a time
	defer c.loading.Unlock()
	file, err := os.CreateTemp("", "dynamic-toolset-image-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // temporary
	defer file.Close()           //nolint:errcheck // only read after this
	switch {
	case image.Archive != nil:
		err = image.Archive(ctx, image.Name, file)
	case len(image.Files) == 0:
		err = saveImage(ctx, image.Name, file)
	default:
		err = writeImage(image, file)
	}
	if err != nil {
		return err
	}
	sum, err := digest(file)
	if err != nil || c.loaded[image.Name] == sum {
		return err
	}
	var group errgroup.Group
	for _, n := range c.nodes {
		group.Go(func() error {
			archive, err := os.Open(file.Name())
			if err != nil {
				return err
			}
			defer archive.Close()
			if err := nodeutils.LoadImageArchive(n, archive); err != nil {
				return fmt.Errorf("on the node %s: %s", n, withOutput(err))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if c.loaded == nil {
		c.loaded = map[string]string{}
	}
	c.loaded[image.Name] = sum
	return nil
}

// digest returns the SHA-256 of a file's content.
func digest(file *os.File) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	_, err := io.Copy(h, file)
	return string(h.Sum(nil)), err
}

// saveImage writes an image that the Docker engine has.
func saveImage(ctx context.Context, name string, to io.Writer) error {
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", "image", "save", name) // #nosec G204 -- the user names it
	cmd.Stdout, cmd.Stderr = to, &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the Docker engine does not give the image %s: %s; build or pull it first", name, lastLine(errs.Bytes(), err))
	}
	return nil
}

// writeImage writes an image with one layer, which has just the files.
func writeImage(image cluster.Image, to io.Writer) error {
	tag, err := name.NewTag(image.Name)
	if err != nil {
		return fmt.Errorf("the image's name: %w", err)
	}
	var files bytes.Buffer
	if err := writeFiles(image.Files, &files); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		return err
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := made.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: image.Entrypoint, User: strconv.FormatInt(image.User, 10), WorkingDir: "/"}
	if made, err = mutate.ConfigFile(made, config); err != nil {
		return err
	}
	return tarball.Write(tag, made, to)
}

// writeFiles writes the layer as a tar archive.
func writeFiles(files map[string]string, to io.Writer) error {
	w := tar.NewWriter(to)
	made := map[string]bool{}
	for _, inside := range slices.Sorted(maps.Keys(files)) {
		if !path.IsAbs(inside) || path.Clean(inside) == "/" {
			return fmt.Errorf("the path %q in the container must be absolute, and not /", inside)
		}
		if err := folders(w, path.Dir(path.Clean(inside)), made); err != nil {
			return err
		}
		if err := addTree(w, strings.TrimPrefix(path.Clean(inside), "/"), files[inside]); err != nil {
			return err
		}
	}
	return w.Close()
}

// folders writes dir and the folders above it.
func folders(w *tar.Writer, dir string, made map[string]bool) error {
	if dir == "/" || made[dir] {
		return nil
	}
	made[dir] = true
	return errors.Join(folders(w, path.Dir(dir), made),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755}))
}

// addTree writes a file or a folder. Everybody may read it, and execute what its owner
// may execute. Symbolic links in a folder stay links.
func addTree(w *tar.Writer, inside, from string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		info, err := os.Lstat(file)
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(file); err != nil {
				return err
			}
		} else if !info.Mode().IsRegular() && !info.IsDir() {
			return fmt.Errorf("%s is neither a file nor a folder", file)
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		header = &tar.Header{Typeflag: header.Typeflag, Name: path.Join(inside, filepath.ToSlash(relative)), Size: header.Size, Linkname: link, Mode: 0o644}
		if info.IsDir() {
			header.Name += "/"
		}
		if info.IsDir() || info.Mode()&0o100 != 0 {
			header.Mode = 0o755
		}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.Open(file) // #nosec G304 -- the user names it
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(w, content)
		return err
	})
}
