package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"kubernaut.io/dynamic-toolset/harness/image"
)

// A member is a file of a layer.
type member struct {
	name string
	kind byte // tar.TypeReg...; 0: a file
	text string
	mode int64
}

var when = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func layerOf(t *testing.T, members ...member) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Mode: m.mode, ModTime: when, Uid: 33, Gid: 44}
		switch m.kind {
		case 0, tar.TypeReg:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(m.text))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = m.text
		case tar.TypeChar:
			h.Devmajor, h.Devminor = 1, 3
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, m.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imageOf(t *testing.T, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	made, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config = v1.Config{
		Entrypoint: []string{"/app"}, Cmd: []string{"-v"}, Env: []string{"A=b"}, User: "www-data:staff", WorkingDir: "srv", StopSignal: "SIGQUIT",
	}
	if made, err = mutate.ConfigFile(made, config); err != nil {
		t.Fatal(err)
	}
	return made
}

// save writes an archive as docker save does.
func save(t *testing.T, images map[string]v1.Image) string {
	t.Helper()
	byTag := map[name.Tag]v1.Image{}
	for n, i := range images {
		tag, err := name.NewTag(n)
		if err != nil {
			t.Fatal(err)
		}
		byTag[tag] = i
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.MultiWriteToFile(file, byTag); err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, path, name string) *image.Image {
	t.Helper()
	i, err := image.Open(path, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// unpack unpacks an image of these layers, from an archive.
func unpack(t *testing.T, layers ...v1.Layer) (string, image.Unpacked, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	done, err := open(t, save(t, map[string]v1.Image{"app:1": imageOf(t, runtime.GOARCH, layers...)}), "").Unpack(t.Context(), dir)
	return dir, done, err
}

// files returns what is below a folder, with the content of files and the targets of
// links.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		inside, _ := filepath.Rel(dir, p)
		switch {
		case d.IsDir():
			all[inside+"/"] = ""
		case d.Type()&os.ModeSymlink != 0:
			to, err := os.Readlink(p)
			all[inside] = "-> " + to
			return err
		default:
			text, err := os.ReadFile(p)
			all[inside] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func check(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if g, ok := got[name]; !ok || g != text {
			t.Errorf("%s is %q (there: %v), want %q", name, g, ok, text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("there is %s, which should not be", name)
		}
	}
}

// An image says how to start it, whatever it is in.
func TestFormats(t *testing.T) {
	made := imageOf(t, runtime.GOARCH, layerOf(t, member{name: "app", text: "x", mode: 0o755}))
	other := imageOf(t, "s390x", layerOf(t, member{name: "other", text: "y"}))
	archive := save(t, map[string]v1.Image{"registry.example/app:1": made, "other:1": made})
	folder := filepath.Join(t.TempDir(), "layout")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: made, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}},
		// An attestation, whatever its configuration says.
		mutate.IndexAddendum{Add: imageOf(t, runtime.GOARCH, layerOf(t, member{name: "attestation", text: "z"})), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	nested := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})
	if _, err := layout.Write(folder, nested); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{"archive": archive, "compressed": squeeze(t, archive), "layout": folder, "layout in an archive": pack(t, folder)} {
		i := open(t, path, "app:1") // as the name is in one of them
		if what == "archive" || what == "compressed" {
			i = open(t, path, "registry.example/app:1")
		}
		c := i.Config
		if !slices.Equal(c.Entrypoint, []string{"/app"}) || !slices.Equal(c.Cmd, []string{"-v"}) || !slices.Equal(c.Env, []string{"A=b"}) || c.WorkingDir != "/srv" || c.StopSignal != "SIGQUIT" {
			t.Errorf("%s: %+v", what, c)
		}
		if id, user := c.UserID(); id != 0 || user != "www-data" {
			t.Errorf("%s: the user %d %q", what, id, user)
		}
		dir := t.TempDir()
		if _, err := i.Unpack(t.Context(), dir); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		check(t, files(t, dir), map[string]string{"app": "x"})
	}
}

func squeeze(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "image.tar.gz", b.String())
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func pack(t *testing.T, dir string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "layout.tar", b.String())
}

// Layers change, delete and hide what is in those below.
func TestLayers(t *testing.T) {
	dir, done, err := unpack(t,
		layerOf(t,
			member{name: "./", kind: tar.TypeDir, mode: 0o700},
			member{name: "etc/", kind: tar.TypeDir, mode: 0o755}, member{name: "etc/gone", text: "1"}, member{name: "etc/stays", text: "1"},
			member{name: "cleared/", kind: tar.TypeDir, mode: 0o755}, member{name: "cleared/old", text: "1"}, member{name: "cleared/sub/old", text: "1"},
			member{name: "usr/bin/a", text: "old", mode: 0o4755}, member{name: "usr/bin/b", kind: tar.TypeLink, text: "usr/bin/a"},
			member{name: "bin", kind: tar.TypeSymlink, text: "/usr/bin"}, member{name: "file-then-folder", text: "1"},
			member{name: "folder-then-link/x", text: "1"}, member{name: "tmp", kind: tar.TypeDir, mode: 0o1777},
			member{name: "locked", kind: tar.TypeDir, mode: 0o055}, // by its owner it could not even be removed
			member{name: "dev/null", kind: tar.TypeChar}, member{name: "var/run", kind: tar.TypeSymlink, text: "/run"},
		),
		layerOf(t,
			member{name: "cleared/sub/new", text: "2"}, member{name: "cleared/.wh..wh..opq"}, member{name: "cleared/new", text: "2"},
			member{name: "etc/.wh.gone"}, member{name: "etc/.wh.never-was"}, member{name: ".wh..wh.plnk/1", text: "aufs"},
			member{name: "usr/bin/a", text: "new", mode: 0o755}, // b keeps the old content
			member{name: "var/run/pid", text: "2"}, member{name: "bin/c", text: "through the link"}, member{name: "file-then-folder", kind: tar.TypeDir, mode: 0o755}, member{name: "file-then-folder/x", kind: tar.TypeDir, mode: 0o755},
			member{name: "folder-then-link", kind: tar.TypeSymlink, text: "nowhere"},
			member{name: "etc/again", text: "1"}, member{name: "etc/.wh.again"}, // not of a layer below
		))
	if err != nil {
		t.Fatal(err)
	}
	check(t, files(t, dir), map[string]string{
		"etc/": "", "etc/stays": "1", "etc/again": "1", "cleared/": "", "cleared/new": "2", "cleared/sub/": "", "cleared/sub/new": "2",
		"usr/": "", "usr/bin/": "", "usr/bin/a": "new", "usr/bin/b": "old", "usr/bin/c": "through the link", "bin": "-> /usr/bin",
		"file-then-folder/": "", "file-then-folder/x/": "", "folder-then-link": "-> nowhere", "tmp/": "", "locked/": "", "dev/": "", "var/": "", "var/run": "-> /run", "run/": "", "run/pid": "2",
	})
	if done.Devices != 1 || done.Owners != (os.Geteuid() != 0) {
		t.Errorf("left out: %+v", done)
	}
	for file, want := range map[string]os.FileMode{
		".": os.ModeDir | 0o755, "tmp": os.ModeDir | os.ModeSticky | 0o777, "usr/bin/a": 0o755, "usr/bin/b": 0o755, "locked": os.ModeDir | 0o755,
	} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", file, info.Mode(), err, want)
		}
		if file == "usr/bin/a" && !info.ModTime().Equal(when) {
			t.Errorf("%s is of %s", file, info.ModTime())
		}
	}
	if os.Geteuid() == 0 {
		if !image.HasOwner(filepath.Join(dir, "usr/bin/c"), 33, 44) {
			t.Error("a file does not belong to its owner")
		}
	}
}

// Whatever links and names an image has, nothing outside of the folder is changed.
func TestNothingLeavesTheFolder(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20)
	for what, members := range map[string][]member{
		"a name with ..":        {{name: up + strings.TrimPrefix(secret, "/"), text: "bad"}},
		"an absolute name":      {{name: secret, text: "bad"}},
		"an absolute link":      {{name: "l", kind: tar.TypeSymlink, text: outside}, {name: "l/secret", text: "bad"}},
		"a relative link":       {{name: "l", kind: tar.TypeSymlink, text: up + strings.TrimPrefix(outside, "/")}, {name: "l/secret", text: "bad"}},
		"links in links":        {{name: "a", kind: tar.TypeSymlink, text: ".."}, {name: "b", kind: tar.TypeSymlink, text: "a/a/" + up}, {name: "b" + secret, text: "bad"}},
		"a link to the file":    {{name: "l", kind: tar.TypeSymlink, text: secret}, {name: "l", text: "bad"}},
		"a hard link":           {{name: "h", kind: tar.TypeLink, text: secret}, {name: "h", text: "bad"}},
		"a hard link by a link": {{name: "l", kind: tar.TypeSymlink, text: outside}, {name: "h", kind: tar.TypeLink, text: "l/secret"}},
		"a whiteout":            {{name: "l", kind: tar.TypeSymlink, text: outside}, {name: "l/.wh.secret"}},
		"a whiteout of ..":      {{name: "x/.wh..."}, {name: "x/.wh.."}},
		"an opaque link":        {{name: "l", kind: tar.TypeSymlink, text: outside}, {name: "l/.wh..wh..opq"}},
		"a mode by a link":      {{name: "l", kind: tar.TypeSymlink, text: secret}, {name: "l", kind: tar.TypeSymlink, text: secret, mode: 0o777}},
		"a folder on a link":    {{name: "l", kind: tar.TypeSymlink, text: outside}, {name: "l", kind: tar.TypeDir, mode: 0o777}},
		"a circle":              {{name: "l", kind: tar.TypeSymlink, text: "l"}, {name: "l/x", text: "bad"}},
	} {
		_, _, err := unpack(t, layerOf(t, members...))
		if err != nil && !errors.Is(err, image.ErrUnusable) {
			t.Errorf("%s: %v", what, err)
		}
		text, err := os.ReadFile(secret)
		info, _ := os.Stat(secret)
		entries, _ := os.ReadDir(outside)
		if string(text) != "kept" || info == nil || info.Mode() != 0o600 || len(entries) != 1 {
			t.Fatalf("%s: the file outside has %q, %v, among %d", what, text, err, len(entries))
		}
	}
}

// A container engine can load what is written, under the name that is wanted.
func TestWriteArchive(t *testing.T) {
	rootfs := t.TempDir()
	if err := os.WriteFile(filepath.Join(rootfs, "file"), []byte("1"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(rootfs, "link")); err != nil {
		t.Fatal(err)
	}
	made := save(t, map[string]v1.Image{"app:1": imageOf(t, runtime.GOARCH, layerOf(t, member{name: "file", text: "1", mode: 0o640}, member{name: "link", kind: tar.TypeSymlink, text: "file"}))})
	for _, path := range []string{rootfs, made} {
		var b bytes.Buffer
		if err := open(t, path, "").WriteArchive(t.Context(), "registry.example/mine:2", &b); err != nil {
			t.Fatal(err)
		}
		again := open(t, write(t, "again.tar", b.String()), "")
		if !slices.Equal(again.Tags, []string{"registry.example/mine:2"}) {
			t.Errorf("%s: the tags %q", path, again.Tags)
		}
		dir := t.TempDir()
		if _, err := again.Unpack(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		check(t, files(t, dir), map[string]string{"file": "1", "link": "-> file"})
		if info, err := os.Stat(filepath.Join(dir, "file")); err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"nginx", "docker.io/library/nginx:latest", true}, {"nginx:1", "nginx:1@sha256:" + strings.Repeat("0", 64), true},
		{"a/b:1", "index.docker.io/a/b:1", true}, {"a/b:1", "a/b:2", false}, {"r.example/a:1", "a:1", false}, {"NOT valid", "NOT valid", true},
	} {
		if got := image.Same(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}
