package cri

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An imageStore is a folder with a folder for each image, whose name is the SHA-256 of the
// image's name in hexadecimal. In it are image.json and the files:
//
//	{"name": "ns/app:v1", "files": {"/app/server": "files/0"},
//	 "entrypoint": ["/app/server"], "cmd": ["-v"], "env": ["A=b"], "user": 65532,
//	 "username": "", "workingDir": "/app", "stopSignal": "SIGQUIT",
//	 "digest": "", "size": 0}
//
// "files" maps paths in the container to a file or folder, relative to the image's folder,
// where a symbolic link may lead to one elsewhere. The path "/" is the root file system.
// "username" is the user of an image that names it; it is in the image's /etc/passwd.
// With "digest", which is different for another content, the files are not looked at;
// "size" is then their size in bytes.
// The owner of the cluster adds images while it runs, with a rename so that they are
// complete. They are read at each use.
type imageStore struct{ dir string }

// imageFile is the name of an image's description; imageFileLimit is its largest size
// in bytes.
const (
	imageFile      = "image.json"
	imageFileLimit = 1 << 20
)

// An image is the description of an image.
type image struct {
	Name       string            `json:"name"`
	Files      map[string]string `json:"files"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	Env        []string          `json:"env"`
	User       uint32            `json:"user"`
	Username   string            `json:"username"`
	WorkingDir string            `json:"workingDir"`
	StopSignal string            `json:"stopSignal"`
	Digest     string            `json:"digest"`
	Size       uint64            `json:"size"`

	stopSignal syscall.Signal // 0: the image has none

	entries []imageEntry // Files, parents before children
	size    uint64       // of the content, in bytes
	ref     string       // "name@sha256:digest"; the digest depends on the content
}

// get returns the image of this name, or of a reference that this store has returned.
// If there is none, the error is NotFound.
func (s imageStore) get(name string) (*image, error) {
	for _, candidate := range spellings(name) {
		sum := sha256.Sum256([]byte(candidate))
		img, err := readImage(filepath.Join(s.dir, hex.EncodeToString(sum[:])))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, status.Errorf(codes.Internal, "the image %q: %v", candidate, err)
		}
		return img, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no image %q in the simulated cluster, and nothing is downloaded: load it with LoadImage of the Go package sim, or with \"simcluster up --image %s=PATH_OF_THE_PROGRAM\"", name, withoutDigest(name))
}

// spellings returns the names under which an image may have been loaded: as given,
// without the default registry, with and without the default tag.
func spellings(name string) []string {
	name = withoutDigest(name)
	out := []string{name}
	for _, prefix := range []string{"docker.io/library/", "docker.io/"} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			out = append(out, short)
		}
	}
	for _, n := range slices.Clone(out) {
		if short, ok := strings.CutSuffix(n, ":latest"); ok {
			out = append(out, short)
		} else if !strings.Contains(path.Base(n), ":") {
			out = append(out, n+":latest")
		}
	}
	return out
}

func withoutDigest(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return name
}

// list returns all images, without those that are not complete yet.
func (s imageStore) list() ([]*image, error) {
	folders, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no image was loaded yet
	}
	if err != nil {
		return nil, err
	}
	var out []*image
	for _, f := range folders {
		if b, err := hex.DecodeString(f.Name()); err != nil || len(b) != sha256.Size {
			continue
		}
		if img, err := readImage(filepath.Join(s.dir, f.Name())); err == nil {
			out = append(out, img)
		}
	}
	return out, nil
}

// readImage reads the image in a folder.
func readImage(dir string) (*image, error) {
	file := filepath.Join(dir, imageFile)
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > imageFileLimit {
		return nil, fmt.Errorf("its %s has %d bytes, more than %d", imageFile, info.Size(), imageFileLimit)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	img, err := parseImage(text)
	if err != nil {
		return nil, err
	}
	return img, img.resolve(dir, text)
}

// parseImage parses and checks a description.
func parseImage(text []byte) (*image, error) {
	img := &image{}
	if err := json.Unmarshal(text, img); err != nil {
		return nil, fmt.Errorf("its %s is no description of an image: %w", imageFile, err)
	}
	if img.Name == "" {
		return nil, fmt.Errorf("its %s has no \"name\"", imageFile)
	}
	for target, source := range img.Files {
		if !path.IsAbs(target) || path.Clean(target) != target {
			return nil, fmt.Errorf("in its %s, the path in the container %q must be absolute and without \".\", \"..\" and double slashes", imageFile, target)
		}
		if !filepath.IsLocal(source) {
			return nil, fmt.Errorf("in its %s, the file %q must be within the image's folder", imageFile, source)
		}
	}
	for _, e := range img.Env {
		if key, _, ok := strings.Cut(e, "="); !ok || key == "" {
			return nil, fmt.Errorf("in its %s, %q is no NAME=value", imageFile, e)
		}
	}
	if img.WorkingDir != "" && !path.IsAbs(img.WorkingDir) {
		return nil, fmt.Errorf("in its %s, the working directory %q must be absolute", imageFile, img.WorkingDir)
	}
	if img.StopSignal != "" {
		var err error
		if img.stopSignal, err = parseSignal(img.StopSignal); err != nil {
			return nil, fmt.Errorf("in its %s, the stop signal: %w", imageFile, err)
		}
	}
	return img, nil
}

// resolve finds the image's files, and computes a digest from what is quick to read
// about them, so that it changes when another image is loaded.
func (img *image) resolve(dir string, description []byte) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	digest := sha256.New()
	digest.Write(description)
	for target, source := range img.Files {
		source, err := filepath.EvalSymlinks(filepath.Join(dir, source))
		if err != nil {
			return fmt.Errorf("the file of %s: %w", target, err)
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		img.entries = append(img.entries, imageEntry{Source: source, Target: target, Folder: info.IsDir()})
	}
	slices.SortFunc(img.entries, func(a, b imageEntry) int { return strings.Compare(a.Target, b.Target) })
	for _, e := range img.entries {
		if img.Digest != "" {
			img.size = img.Size
			break
		}
		err := filepath.WalkDir(e.Source, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(digest, "%q %q %v %d %d\n", e.Target, strings.TrimPrefix(p, e.Source), info.Mode(), info.Size(), info.ModTime().UnixNano())
			if info.Mode().IsRegular() {
				img.size += uint64(info.Size())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	img.size = max(img.size, 1) // the CRI requires more than 0
	img.ref = img.Name + "@sha256:" + hex.EncodeToString(digest.Sum(nil))
	return nil
}
