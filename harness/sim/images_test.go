package sim

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stored reads an image like the container runtime: its files' contents, by their path
// in the container.
func stored(t *testing.T, dir string) (imageFile, map[string]string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "image.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("images: %v, %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var img imageFile
	if err := json.Unmarshal(data, &img); err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for inside, rel := range img.Files {
		if !filepath.IsLocal(rel) {
			t.Errorf("%s is outside of the image", rel)
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(found[0]), rel))
		if err != nil {
			content = []byte("folder")
		}
		contents[inside] = string(content)
	}
	return img, contents
}

func TestLoadImage(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	from := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := write("program", "one", 0o700)
	write("folder/sub/data", "d", 0o600)
	if err := os.Symlink("sub/data", filepath.Join(from, "folder/link")); err != nil {
		t.Fatal(err)
	}
	store := imageStore{dir: t.TempDir()}
	load := func() {
		t.Helper()
		if err := store.load(context.Background(), Image{
			Name: "example/app", Files: map[string]string{"/bin/../app": program, "/etc/app": filepath.Join(from, "folder")},
			Entrypoint: []string{"/app"}, Env: []string{"A=b=c"}, User: 65532,
		}); err != nil {
			t.Fatal(err)
		}
	}
	load()
	img, contents := stored(t, store.dir)
	if img.Name != "example/app:latest" || img.User != 65532 || img.Entrypoint[0] != "/app" || img.Env[0] != "A=b=c" {
		t.Errorf("stored: %+v", img)
	}
	if contents["/app"] != "one" || contents["/etc/app"] != "folder" {
		t.Errorf("stored: %v", contents)
	}
	matches, _ := filepath.Glob(filepath.Join(store.dir, "*", img.Files["/etc/app"]))
	for name, want := range map[string]os.FileMode{"": 0o755, "sub": 0o755, "sub/data": 0o644, "link": 0o644} {
		info, err := os.Stat(filepath.Join(matches[0], name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v, want mode %o, whatever the umask", name, info, err, want)
		}
	}
	if link, err := os.Readlink(filepath.Join(matches[0], "link")); err != nil || link != "sub/data" {
		t.Errorf("the link: %q, %v", link, err)
	}

	// The same content is not replaced, since a container may be about to start from
	// it.
	for range 3 {
		load()
	}
	if again, _ := stored(t, store.dir); again.Files["/app"] != img.Files["/app"] {
		t.Errorf("the same image was replaced: %v, then %v", img.Files, again.Files)
	}

	for _, text := range []string{"two", "six", "four"} { // two of them have the same length
		write("program", text, 0o700)
		load()
		if _, contents := stored(t, store.dir); contents["/app"] != text {
			t.Errorf("replaced: %v", contents)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(store.dir, "*", "files-*")); len(left) != 2 {
		t.Errorf("the files of %d versions are kept, want the present and the last one", len(left))
	}
	before, _ := stored(t, store.dir)
	write("folder/sub/data", "e", 0o600) // in a folder, and of the same length
	load()
	if after, _ := stored(t, store.dir); after.Files["/etc/app"] == before.Files["/etc/app"] {
		t.Error("a change in a folder was overlooked")
	}
}

// A root file system is as it was, and the runtime need not read it to know whether it
// is another one.
func TestLoadRoot(t *testing.T) {
	root := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(root, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	for _, err := range []error{
		os.Mkdir(filepath.Join(root, "folder"), 0o700), os.Chmod(filepath.Join(root, "folder"), 0o777|os.ModeSticky),
		os.Symlink("file", filepath.Join(root, "link")), syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	store := imageStore{dir: t.TempDir()}
	load := func(change func(*Image)) imageFile {
		t.Helper()
		img := Image{Name: "a:1", Root: root, Cmd: []string{"x"}, Username: "web", WorkingDir: "/srv", StopSignal: "SIGQUIT"}
		change(&img)
		if err := store.load(t.Context(), img); err != nil {
			t.Fatal(err)
		}
		written, contents := stored(t, store.dir)
		if contents["/"] != "folder" {
			t.Errorf("the root is %q", contents["/"])
		}
		found, err := filepath.Glob(filepath.Join(store.dir, "*", written.Files["/"]))
		if err != nil || len(found) != 1 {
			t.Fatalf("%q, %v", found, err)
		}
		for name, want := range map[string]os.FileMode{"file": 0o600, "folder": os.ModeDir | os.ModeSticky | 0o777, "link": os.ModeSymlink | 0o777} {
			if info, err := os.Lstat(filepath.Join(found[0], name)); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v, want %v", name, info, err, want)
			}
		}
		if _, err := os.Lstat(filepath.Join(found[0], "pipe")); err == nil {
			t.Error("a pipe is there, too")
		}
		return written
	}
	first := load(func(*Image) {})
	if first.Size != 3 || first.Username != "web" || first.WorkingDir != "/srv" || first.StopSignal != "SIGQUIT" || first.Cmd[0] != "x" || len(first.Digest) != 64 {
		t.Errorf("%+v", first)
	}
	if again := load(func(*Image) {}); again.Digest != first.Digest {
		t.Error("the same root is another one")
	}
	if other := load(func(i *Image) { i.StopSignal = "SIGINT" }); other.Digest == first.Digest {
		t.Error("another stop signal is the same image")
	}
	write("two!")
	if other := load(func(*Image) {}); other.Digest == first.Digest {
		t.Error("another file is the same image")
	}
}

func TestLoadImageRefuses(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"/app": program}
	for want, img := range map[string]Image{
		"needs a name":     {Files: files},
		"needs files":      {Name: "a"},
		"no folder":        {Name: "a", Root: program},
		"must be absolute": {Name: "a", Files: files, WorkingDir: "srv"},
		"user -1":          {Name: "a", Files: files, User: -1},
		`"app"`:            {Name: "a", Files: map[string]string{"app": program}},
		`"/"`:              {Name: "a", Files: map[string]string{"/": program}},
		"no such file":     {Name: "a", Files: map[string]string{"/app": program + "2"}},
		`"A" must have`:    {Name: "a", Files: files, Env: []string{"A"}},
		"neither a file":   {Name: "a", Files: map[string]string{"/app": "/dev/null"}},
		"context canceled": {Name: "canceled", Files: files},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		if img.Name == "canceled" {
			cancel()
		}
		store := imageStore{dir: t.TempDir()}
		if err := store.load(ctx, img); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", img, err, want)
		}
		if left, _ := filepath.Glob(filepath.Join(store.dir, "*", "*")); len(left) > 0 {
			t.Errorf("%+v was refused and left %v", img, left)
		}
		cancel()
	}
}

func TestNameWithTag(t *testing.T) {
	for name, want := range map[string]string{
		"app": "app:latest", "a.b:5000/app": "a.b:5000/app:latest", "a.b:5000/app:v1": "a.b:5000/app:v1",
		"app@sha256:0123": "app@sha256:0123",
	} {
		if got := withTag(name); got != want {
			t.Errorf("withTag(%q) = %q, want %q", name, got, want)
		}
	}
}
