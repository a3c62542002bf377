package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// maxFiles bounds the files of an image. The largest known ones have 400,000.
	maxFiles = 2_000_000
	// maxLayers bounds the layers of an image. Docker makes at most 127.
	maxLayers = 1000
	// maxOwner is the first user that a cluster does not have.
	maxOwner = 1 << 16
)

// The names in layers that delete files of layers below
// (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh." // begins names of a file system's own, which are no files
)

// Unpacked says what was left out when an image was unpacked.
type Unpacked struct {
	Devices int  // device files: a container has its own
	Owners  bool // all files belong to this user, since only root may give them away
}

// Unpack writes the files of an image's layers into an empty folder, one layer above
// the other. Nothing is written outside of it, whatever links the image has. Files do
// not get the rights of their owners (setuid), as containers here get none from them.
func (i *Image) Unpack(ctx context.Context, dir string) (Unpacked, error) {
	layers, sums, err := i.stack()
	if err != nil {
		return Unpacked{}, unusable("%s is damaged: %w", i.Path, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Unpacked{}, err
	}
	defer root.Close() //nolint:errcheck // only read
	room, err := newRoom(dir)
	if err != nil {
		return Unpacked{}, err
	}
	u := &unpacker{root: root, room: room, owners: os.Geteuid() == 0}
	u.done.Owners = !u.owners
	for n, l := range layers {
		if err := u.layer(ctx, l, sums[n]); err != nil {
			if ctx.Err() != nil {
				return u.done, context.Cause(ctx)
			}
			return u.done, i.explain(fmt.Errorf("layer %d of %d: %w", n+1, len(layers), err))
		}
	}
	return u.done, root.Chmod(".", 0o755)
}

// An unpacker unpacks the layers of one image.
type unpacker struct {
	root   *os.Root
	room   *room
	owners bool
	files  int
	done   Unpacked

	new map[string]bool // what the present layer has made, which its whiteouts don't mean
	dir struct {        // the last folder that was resolved
		name, place string
	}
}

// stack returns the layers, the lowest first, and the checksums of their content.
func (i *Image) stack() ([]v1.Layer, []v1.Hash, error) {
	config, err := i.layers.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	sums := config.RootFS.DiffIDs
	if len(sums) > maxLayers {
		return nil, nil, fmt.Errorf("it has %d layers, more than %d", len(sums), maxLayers)
	}
	layers, err := i.layers.Layers()
	if err == nil && len(layers) != len(sums) {
		err = fmt.Errorf("it has %d layers, and its configuration %d", len(layers), len(sums))
	}
	return layers, sums, err
}

func (u *unpacker) layer(ctx context.Context, l v1.Layer, want v1.Hash) error {
	content, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // only read
	u.new, u.dir.name = map[string]bool{}, ""
	h := sha256.New()
	all := io.TeeReader(content, h)
	for t := tar.NewReader(all); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if u.files++; u.files > maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		if err := u.entry(ctx, header, t); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); want.Algorithm == "sha256" && sum != want.Hex {
		return fmt.Errorf("its content has the checksum %s, not %s: the file is damaged", sum, want.Hex)
	}
	return nil
}

// entry unpacks one file, folder or link, or deletes one.
func (u *unpacker) entry(ctx context.Context, h *tar.Header, content io.Reader) error {
	name := path.Clean("/" + h.Name)
	if name == "/" {
		return nil // Unpack sets its mode
	}
	dir, base := path.Split(name)
	if base == opaque {
		return u.clear(dir)
	}
	if strings.Contains(name, "/"+aufs) {
		return nil
	}
	parent, err := u.folder(dir)
	if err != nil {
		return err
	}
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		if hidden == "" || hidden == "." || hidden == ".." {
			return errors.New("it deletes no file")
		}
		if u.new[path.Join(parent, hidden)] {
			return nil
		}
		return u.remove(path.Join(parent, hidden))
	}
	place := path.Join(parent, base)
	old, err := u.root.Lstat(place)
	if err == nil && !(h.Typeflag == tar.TypeDir && old.IsDir()) {
		if err := u.remove(place); err != nil {
			return err
		}
		old = nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.make(ctx, h, place, old != nil, content); err != nil {
		return err
	}
	for p := place; p != "." && !u.new[p]; p = path.Dir(p) {
		u.new[p] = true
	}
	return nil
}

// make makes a file, folder or link. If there is a folder already, it only changes its
// mode and owner.
func (u *unpacker) make(ctx context.Context, h *tar.Header, place string, folder bool, content io.Reader) error {
	mode := fs.FileMode(h.Mode).Perm() // #nosec G115 -- only these bits
	switch h.Typeflag {
	case tar.TypeDir:
		if !folder {
			if err := u.root.Mkdir(place, 0o755); err != nil {
				return err
			}
		}
		mode |= 0o700 // or nobody could unpack what is in it, nor remove it
		if h.Mode&0o1000 != 0 {
			mode |= fs.ModeSticky
		}
		if h.Mode&0o2000 != 0 {
			mode |= fs.ModeSetgid
		}
	case tar.TypeReg:
		if err := u.file(ctx, place, content); err != nil {
			return err
		}
		if !u.owners {
			mode |= 0o400
		}
	case tar.TypeSymlink:
		if err := u.root.Symlink(h.Linkname, place); err != nil {
			return err
		}
		return u.own(h, place)
	case tar.TypeLink:
		return u.link(h.Linkname, place)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		u.done.Devices++
		return nil
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return fmt.Errorf("it is of a kind (%q) that is not known", h.Typeflag)
	}
	if err := u.own(h, place); err != nil {
		return err
	}
	if err := u.root.Chmod(place, mode); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg && !h.ModTime.IsZero() {
		// Python compiles what is newer than its cache.
		return u.root.Chtimes(place, h.ModTime, h.ModTime)
	}
	return nil
}

func (u *unpacker) file(ctx context.Context, place string, content io.Reader) error {
	f, err := u.root.OpenFile(place, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := u.room.take(4096); err != nil { // of the file system itself
		return errors.Join(err, f.Close())
	}
	return errors.Join(u.room.copy(ctx, f, content), f.Close())
}

// link makes a second name of a file, which must be in the image.
func (u *unpacker) link(to, place string) error {
	dir, base := path.Split(path.Clean("/" + to))
	parent, err := resolve(u.root, dir)
	if err != nil {
		return err
	}
	target := path.Join(parent, base)
	info, err := u.root.Lstat(target)
	if err != nil {
		return fmt.Errorf("it is a link to %s: %w", to, errors.Unwrap(err))
	}
	if info.IsDir() {
		return fmt.Errorf("it is a link to the folder %s", to)
	}
	return u.root.Link(target, place)
}

// own gives a file to its owner, if that is possible.
func (u *unpacker) own(h *tar.Header, place string) error {
	if !u.owners || h.Uid < 0 || h.Uid >= maxOwner || h.Gid < 0 || h.Gid >= maxOwner {
		return nil
	}
	return u.root.Lchown(place, h.Uid, h.Gid)
}

// folder returns the place of a folder, and makes it if a layer does not mention it.
func (u *unpacker) folder(dir string) (string, error) {
	if u.dir.name == dir {
		return u.dir.place, nil
	}
	place, err := resolve(u.root, dir)
	if err != nil {
		return "", err
	}
	if err := u.root.MkdirAll(place, 0o755); err != nil {
		return "", err
	}
	u.dir.name, u.dir.place = dir, place
	return place, nil
}

// remove removes a file of a layer below, or a folder with what is in it.
func (u *unpacker) remove(place string) error {
	u.dir.name = "" // it may have been on the way
	return u.root.RemoveAll(place)
}

// clear removes what layers below have in a folder.
func (u *unpacker) clear(dir string) error {
	place, err := u.folder(dir)
	if err != nil {
		return err
	}
	f, err := u.root.Open(place)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, name := range names {
		below := path.Join(place, name)
		if !u.new[below] {
			if err := u.remove(below); err != nil {
				return err
			}
			continue
		}
		// The present layer has made something in it. What is older goes.
		if info, err := u.root.Lstat(below); err == nil && info.IsDir() {
			if err := u.clear("/" + below); err != nil {
				return err
			}
		}
	}
	return nil
}
