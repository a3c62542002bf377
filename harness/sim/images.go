package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Image is what a container is made of: a root file system, or only some files, like an
// image built FROM scratch: no shell, no libc, no certificates. A program must then be
// statically linked (CGO_ENABLED=0).
type Image struct {
	// Name is how pods refer to it, such as "example/app:v1". Without a tag it means
	// ":latest".
	Name string
	// Root is a folder of this host with a root file system; empty: none. Its files are
	// linked where that is possible, as they may be large, and copied otherwise: they
	// must stay as they are while there are containers. Containers do not change them;
	// each writes in a layer of its own, in memory. Modes and owners of files count, as
	// far as the cluster has those users.
	Root string
	// Files maps absolute paths in the container to files or folders of this host,
	// which are copied. Everybody in the container may read them, and execute what its
	// owner may execute.
	Files map[string]string
	// Entrypoint is the command of containers whose pod has none. The pod's args follow
	// it, or Cmd if the pod has no args either.
	Entrypoint, Cmd []string
	// Env are additional variables, as "NAME=value".
	Env []string
	// User is the user id of containers whose pod has none. 0 is root. Username is used
	// instead if it is not empty; it must be in the image's /etc/passwd.
	User     int64
	Username string
	// WorkingDir is where containers begin whose pod does not say; empty: /.
	WorkingDir string
	// StopSignal is what stops containers whose pod does not say, such as SIGQUIT;
	// empty: SIGTERM.
	StopSignal string
}

// LoadImage makes an image available to all nodes, as if every registry had it. It
// replaces an image of the same name for containers that start after that. If the
// content is the same, it does nothing.
func (c *Cluster) LoadImage(ctx context.Context, img Image) error {
	if err := c.images.load(ctx, img); err != nil {
		return fmt.Errorf("load the image %q: %w", img.Name, err)
	}
	return nil
}

// An imageStore writes what the container runtime (kube/cri) reads:
//
//	<dir>/<sha256 of the name>/image.json        replaced by a rename
//	<dir>/<sha256 of the name>/<folder>/0, 1...  the files
//	<dir>/<sha256 of the name>/<folder>/root     the root file system
type imageStore struct {
	dir string

	mu     sync.Mutex // one image at a time
	loaded map[string]loadedImage
}

// loadedImage is what is known about an image that was loaded.
type loadedImage struct {
	digest  string   // of the last one
	folders []string // of its files, oldest first
}

// imageFile is the content of image.json.
type imageFile struct {
	Name       string            `json:"name"`
	Files      map[string]string `json:"files"` // to paths in the directory of image.json
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Env        []string          `json:"env,omitempty"`
	User       int64             `json:"user"`
	Username   string            `json:"username,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	StopSignal string            `json:"stopSignal,omitempty"`
	Digest     string            `json:"digest,omitempty"` // so that a large root is not read at each use
	Size       int64             `json:"size,omitempty"`
}

func (s *imageStore) load(ctx context.Context, img Image) error {
	if err := img.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := withTag(img.Name)
	hash := sha256.Sum256([]byte(name))
	dir := filepath.Join(s.dir, hex.EncodeToString(hash[:]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(dir, "files-")
	if err != nil {
		return err
	}
	written, digest, err := img.copyTo(ctx, folder)
	// An image with the same content is not replaced. Several runs in parallel each
	// load the load generator's image. If each replaced it, the third would remove
	// files from which the pod of the first is about to start.
	last := s.loaded[name]
	if err != nil || digest == last.digest {
		return errors.Join(err, os.RemoveAll(folder))
	}
	data, err := json.Marshal(written)
	if err != nil {
		return err
	}
	unfinished := filepath.Join(folder, "image.json")
	if err := os.WriteFile(unfinished, data, 0o644); err != nil {
		return err
	}
	if err := os.Rename(unfinished, filepath.Join(dir, "image.json")); err != nil {
		return err
	}
	// Remove the files of an image that has been replaced twice. A container may still
	// be about to start from those that were replaced just now.
	folders := append(last.folders, folder)
	for ; len(folders) > 2; folders = folders[1:] {
		if err := os.RemoveAll(folders[0]); err != nil {
			return err
		}
	}
	if s.loaded == nil {
		s.loaded = map[string]loadedImage{}
	}
	s.loaded[name] = loadedImage{digest, folders}
	return nil
}

// copyTo copies the files into a folder, and links those of the root. The digest differs if
// the files or what else the image says do.
func (img Image) copyTo(ctx context.Context, folder string) (written imageFile, digest string, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d %q %q %q %q\n", img.Entrypoint, img.Env, img.User, img.Cmd, img.Username, img.WorkingDir, img.StopSignal)
	written = imageFile{
		Name: withTag(img.Name), Files: map[string]string{}, Entrypoint: img.Entrypoint, Cmd: img.Cmd, Env: img.Env,
		User: img.User, Username: img.Username, WorkingDir: img.WorkingDir, StopSignal: img.StopSignal,
	}
	for i, inside := range slices.Sorted(maps.Keys(img.Files)) {
		number := strconv.Itoa(i)
		fmt.Fprintf(h, "%q\n", path.Clean(inside))
		if err := copyTree(ctx, filepath.Join(folder, number), img.Files[inside], h); err != nil {
			return written, "", err
		}
		written.Files[path.Clean(inside)] = filepath.Base(folder) + "/" + number
	}
	if img.Root != "" {
		if written.Size, err = linkRoot(ctx, filepath.Join(folder, "root"), img.Root, h); err != nil {
			return written, "", err
		}
		written.Files["/"] = filepath.Base(folder) + "/root"
		written.Digest = hex.EncodeToString(h.Sum(nil))
	}
	return written, string(h.Sum(nil)), nil
}

func (img Image) check() error {
	switch {
	case img.Name == "":
		return errors.New("it needs a name, such as example/app:v1")
	case len(img.Files) == 0 && img.Root == "":
		return errors.New("it needs files: give at least the program, or a root file system")
	case img.User < 0:
		return fmt.Errorf("user %d: give 0 or more", img.User)
	}
	for inside := range img.Files {
		if !path.IsAbs(inside) || path.Clean(inside) == "/" {
			return fmt.Errorf("the path %q in the container must be absolute, and not / (a root file system is given as such)", inside)
		}
	}
	if img.WorkingDir != "" && !path.IsAbs(img.WorkingDir) {
		return fmt.Errorf("the working directory %q must be absolute", img.WorkingDir)
	}
	for _, v := range img.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return fmt.Errorf("the variable %q must have the form NAME=value", v)
		}
	}
	return nil
}

// withTag returns the name that the kubelet asks for.
func withTag(name string) string {
	if strings.Contains(name, "@") || strings.Contains(path.Base(name), ":") {
		return name
	}
	return name + ":latest"
}

// copyTree copies a file or a folder, and writes what it copies to h. Symbolic links in
// a folder stay links.
func copyTree(ctx context.Context, to, from string, h io.Writer) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		below, target := strings.TrimPrefix(name, from), to+strings.TrimPrefix(name, from)
		fmt.Fprintf(h, "%q %v\n", below, d.Type())
		switch {
		case d.IsDir():
			return makeDir(target)
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%q\n", link)
			return os.Symlink(link, target)
		case d.Type().IsRegular():
			return copyFile(target, name, h)
		}
		return fmt.Errorf("%s is neither a file nor a folder", name)
	})
}

// makeDir makes a folder that everybody may enter, whatever the umask.
func makeDir(name string) error {
	if err := os.Mkdir(name, 0o755); err != nil {
		return err
	}
	return os.Chmod(name, 0o755)
}

func copyFile(to, from string, h io.Writer) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	fmt.Fprintf(h, "%v %d\n", mode, info.Size())
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.MultiWriter(out, h), in); err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(out.Chmod(mode), out.Close()) // whatever the umask
}
