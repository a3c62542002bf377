package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubernaut.io/dynamic-toolset/internal/format"
)

const (
	// maxDescription bounds a manifest, an index and a configuration, in bytes, which
	// are read into memory.
	maxDescription = 16 << 20
	// maxMembers bounds the files of an archive, without those of its layers.
	maxMembers = 10_000
)

// openFile opens an archive, or a program.
func (i *Image) openFile(name string) error {
	f, err := os.Open(i.Path)
	if err != nil {
		return unusable("%s can't be read: %w", i.Path, errors.Unwrap(err))
	}
	begin := make([]byte, 512)
	n, err := io.ReadFull(f, begin)
	_ = f.Close() // only read
	begin = begin[:n]
	switch {
	case n == 0:
		return unusable("%s is empty", i.Path)
	case bytes.HasPrefix(begin, []byte("\x7fELF")):
		i.Kind = Program
		return nil
	case bytes.HasPrefix(begin, []byte{0x28, 0xb5, 0x2f, 0xfd}), bytes.HasPrefix(begin, []byte("\xfd7zXZ")), bytes.HasPrefix(begin, []byte("BZh")):
		return unusable("%s is compressed in a way that is not read here: decompress it first", i.Path)
	case bytes.HasPrefix(begin, []byte{0x1f, 0x8b}):
	case err != nil || !bytes.HasPrefix(begin[257:], []byte("ustar")):
		return unusable("%s is neither an archive (docker save -o), nor a folder with an OCI layout or a root file system, nor a Linux program", i.Path)
	}
	i.Kind = Archive
	return i.openArchive(name)
}

// open opens the archive, decompressed.
func (i *Image) open() (io.ReadCloser, error) {
	f, err := os.Open(i.Path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, 2)
	if _, err := f.ReadAt(magic, 0); err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return f, nil // archive/tar seeks over what is not wanted
	}
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// members returns the sizes of an archive's files.
func (i *Image) members() (map[string]int64, error) {
	r, err := i.open()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	sizes := map[string]int64{}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return sizes, nil
		}
		if err != nil {
			return nil, err
		}
		if sizes[path.Clean(h.Name)] = h.Size; len(sizes) > maxMembers {
			return sizes, nil // that of an image has a few; what it is, is decided by these
		}
	}
}

func (i *Image) openArchive(want string) error {
	sizes, err := i.members()
	if err != nil {
		return unusable("%s is damaged: %w", i.Path, err)
	}
	size, docker := sizes["manifest.json"]
	if _, oci := sizes["index.json"]; !docker && oci {
		return i.openLayoutArchive(want)
	}
	for member := range sizes {
		if !docker && part.MatchString(member) {
			return unusable("%s is damaged: it has parts of an image, but no manifest.json, as if it were cut off", i.Path)
		}
	}
	if !docker {
		return unusable("%s has neither a manifest.json nor an index.json, so it is no image; if it is a root file system (docker export), unpack it, and give the folder", i.Path)
	}
	if size > maxDescription {
		return unusable("%s is damaged: its manifest.json has %d bytes", i.Path, size)
	}
	all, err := tarball.LoadManifest(i.open)
	if err != nil {
		return unusable("%s is damaged: its manifest.json can't be read: %w", i.Path, err)
	}
	chosen, tag, err := choose(all, want)
	if err != nil {
		return unusable("%s %w", i.Path, err)
	}
	for _, member := range append([]string{chosen.Config}, chosen.Layers...) {
		size, ok := sizes[path.Clean(member)]
		if !ok || member == chosen.Config && size > maxDescription {
			return unusable("%s is damaged: it lacks %s, or that is too large", i.Path, member)
		}
	}
	i.Tags = chosen.RepoTags
	if i.layers, err = tarball.Image(i.open, tag); err != nil {
		return unusable("%s is damaged: %w", i.Path, err)
	}
	return nil
}

// choose returns the image that is wanted of those in an archive, and the tag by which
// the library finds it, which is nil if there is only one.
func choose(all tarball.Manifest, want string) (*tarball.Descriptor, *name.Tag, error) {
	if len(all) == 1 {
		return &all[0], nil, nil
	}
	var have []string
	for n := range all {
		for _, t := range all[n].RepoTags {
			have = append(have, t)
			if !Same(t, want) {
				continue
			}
			tag, err := name.NewTag(t)
			return &all[n], &tag, err
		}
	}
	return nil, nil, fmt.Errorf("has %d images, and none of them is %s: it has %s; save one by its name", len(all), want, format.Names(have))
}

// Same reports whether two names mean the same image.
func Same(a, b string) bool { return Canonical(a) == Canonical(b) }

// Canonical returns the full form of an image's name, with registry and tag, but without
// a digest. A name that is not valid is returned as it is.
func Canonical(image string) string {
	plain, _, _ := strings.Cut(image, "@")
	tag, err := name.NewTag(plain)
	if err != nil {
		return plain
	}
	return tag.Name()
}

// part is the name of a file that archives of docker save have, old ones and new ones.
var part = regexp.MustCompile(`^(blobs/.*|sha256:[0-9a-f]{64}|[0-9a-f]{64}(\.json|\.tar|\.tar\.gz|/.*)?)$`)

// blob is the name of a file of an OCI layout.
var blob = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// openLayoutArchive unpacks an archive with an OCI layout.
func (i *Image) openLayoutArchive(want string) error {
	var err error
	if i.temp, err = NewTemp(); err != nil {
		return err
	}
	dir := i.temp.Dir
	room, err := newRoom(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o700); err != nil {
		return err
	}
	r, err := i.open()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unusable("%s is damaged: %w", i.Path, err)
		}
		if member := path.Clean(h.Name); h.Typeflag == tar.TypeReg && blob.MatchString(member) {
			if err := room.write(context.Background(), filepath.Join(dir, member), t); err != nil {
				return i.explain(err)
			}
		}
	}
	return i.openLayout(dir, want)
}

// explain adds the image to an error of a room.
func (i *Image) explain(err error) error {
	if errors.Is(err, errNoRoom) {
		return unusable("%s does not fit on the disk: %w", i.Path, err)
	}
	return unusable("%s can't be unpacked: %w", i.Path, err)
}
