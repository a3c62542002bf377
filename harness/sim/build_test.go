package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeGo puts a go command into PATH. It answers "env" and "list"; its "build" takes a
// moment, notes that it was called, and writes its output. The cache is in a directory
// of the test. fakeGo returns the file with the notes.
func fakeGo(t *testing.T, list string) (notes string) {
	t.Helper()
	dir := t.TempDir()
	notes = filepath.Join(dir, "notes")
	script := `#!/bin/sh
case "$1" in
env) echo go1.26.0 ;;
list) ` + list + ` ;;
build)
	echo build >>"` + notes + `"
	sleep 0.3
	while [ "$1" != -o ]; do shift; done
	echo binary >"$2" ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	t.Setenv("HOME", dir)
	t.Setenv(binaryEnv, "")
	return notes
}

func TestBuildCompilesOnceForMany(t *testing.T) {
	notes := fakeGo(t, "true")
	var wg sync.WaitGroup
	paths := make([]string, 4)
	for i := range paths {
		wg.Go(func() {
			var err error
			// The lock belongs to the open file, and so works between goroutines as
			// between processes.
			if paths[i], err = Build(context.Background(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n, err := os.ReadFile(notes); err != nil || string(n) != "build\n" {
		t.Errorf("compiled %d times: %v", bytes.Count(n, []byte("\n")), err)
	}
	for _, p := range paths {
		if p != paths[0] || !isFile(p) {
			t.Errorf("Build returned %q and %q", paths[0], p)
		}
	}
}

func TestBuildSaysWhatItDoes(t *testing.T) {
	fakeGo(t, "true")
	var progress bytes.Buffer
	if _, err := Build(context.Background(), &progress); err != nil {
		t.Fatal(err)
	}
	if s := progress.String(); !strings.Contains(s, "Kubernetes v1.") || !strings.Contains(s, "6 to 15 minutes") || !strings.Contains(s, "compiled in") {
		t.Errorf("progress: %q", s)
	}
	progress.Reset()
	if _, err := Build(context.Background(), &progress); err != nil || progress.Len() > 0 {
		t.Errorf("from the cache: %q, %v", progress.String(), err)
	}
}

// If the output is not a terminal, each tenth is a line.
func TestMeter(t *testing.T) {
	var out bytes.Buffer
	m := newMeter(&out, 40, time.Now())
	for i := range 40 {
		said := fmt.Sprintf("example.com/p%d\n", i)
		for _, part := range []string{said[:5], said[5:], "go: downloading example.com v1\n", "# example.com/x\n"} {
			if _, err := m.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 10 || !strings.HasPrefix(lines[0], "sim: compiled 4 of 40 packages after ") || !strings.HasPrefix(lines[9], "sim: compiled 40 of 40 packages") {
		t.Errorf("%q", lines)
	}
	out.Reset()
	m = newMeter(&out, 2, time.Now())
	m.terminal = true
	m.Write([]byte("a\nb\n")) //nolint:errcheck // as above
	m.end()
	if got := out.String(); strings.Count(got, "\r") != 2 || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestBuildWithoutModulesOrGoIsUnavailable(t *testing.T) {
	fakeGo(t, "echo dial tcp: no such host >&2; exit 1")
	_, err := Build(context.Background(), nil)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("without the module proxy: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Build(context.Background(), nil); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("without go: %v", err)
	}
}

func TestBuildTakesABinaryBuiltElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kube")
	t.Setenv(binaryEnv, path)
	if _, err := Build(context.Background(), nil); err == nil || !strings.Contains(err.Error(), binaryEnv) {
		t.Errorf("a binary that is not there: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Build(context.Background(), nil); err != nil || got != path {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPruneKeepsWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{"a": 9 * time.Hour, "b": 8 * time.Hour, "c": 7 * time.Hour, "d": 6 * time.Hour, "e": 5 * time.Hour, "f": time.Minute} {
		entry := filepath.Join(dir, name)
		if err := os.Mkdir(entry, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{binaryName, binaryName + ".unfinished"} {
			if err := os.WriteFile(filepath.Join(entry, file), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		used := time.Now().Add(-age)
		if err := os.Chtimes(entry, used, used); err != nil {
			t.Fatal(err)
		}
	}
	prune(dir, filepath.Join(dir, "a")) // "a" is the oldest, but kept all the same
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range left {
		left[i] = strings.TrimPrefix(path, dir+"/")
	}
	if got, want := strings.Join(left, " "), "a/kube d/kube e/kube f/kube"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

func TestHashFollowsWhatIsBuilt(t *testing.T) {
	dir := t.TempDir()
	hashes := map[string]string{}
	for _, c := range []struct{ what, file, text, input string }{
		{"nothing", "", "", "go1"},
		{"another compiler", "", "", "go2"},
		{"a file", "main.go", "package main", "go1"},
		{"its text", "main.go", "package other", "go1"},
		{"a file below", "sub/x.go", "package x", "go1"},
		{"the requirements", "go.sum", "x", "go1"},
	} {
		if c.file != "" {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, c.file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		hash, err := sourceHash(dir, c.input)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := hashes[hash]; ok {
			t.Errorf("with %s, the hash is that with %s", c.what, other)
		}
		hashes[hash] = c.what
	}
	if err := os.WriteFile(filepath.Join(dir, "main_test.go"), []byte("package main"), 0o644); err != nil {
		t.Fatal(err)
	}
	hash, err := sourceHash(dir, "go1")
	if err != nil {
		t.Fatal(err)
	}
	if hashes[hash] != "the requirements" {
		t.Error("a test file, which is not built, changes the hash")
	}
}
