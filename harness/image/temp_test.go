package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/image"
)

// Folders of processes that were killed are removed, and no others.
func TestAbandonedFolders(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	used, err := image.NewTemp()
	if err != nil {
		t.Fatal(err)
	}
	abandoned := filepath.Join(os.TempDir(), "dynamic-toolset-image-1")
	if err := os.MkdirAll(filepath.Join(abandoned, "root"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, dir := range []string{used.Dir, abandoned} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	next, err := image.NewTemp()
	if err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if want := []string{used.Dir, next.Dir}; len(left) != 2 || !slices.Contains(left, want[0]) || !slices.Contains(left, want[1]) {
		t.Errorf("left: %q, want %q", left, want)
	}
	if err := errors.Join(used.Close(), next.Close()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left at the end: %q", left)
	}
}
