package sim

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// keepVersions is how many binaries stay in the cache. Each has about 145 MB, and
	// developers seldom switch between more branches.
	keepVersions = 3
	// keepRecent is how long a binary is kept after its last use, since another process
	// may be about to start it.
	keepRecent = time.Hour
)

// binaryName is the name of the file in its cache entry.
const binaryName = "kube"

// cacheDir returns the directory of the binaries, with one directory per hash.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for the simulated cluster's binary (set HOME or XDG_CACHE_HOME): %w", err)
	}
	dir := filepath.Join(base, "dynamic-toolset", "sim")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory of the simulated cluster's binary: %w", err)
	}
	return dir, nil
}

// cached reports whether there is a binary, and marks it as used. A binary is complete
// once it is there, since it is renamed to its name.
func cached(binary string) bool {
	if !isFile(binary) {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Dir(binary), now, now) // if the cache is read-only, it is not pruned either
	return true
}

// prune removes the least recently used binaries, but not keep, and what interrupted
// builds have left. The lock must be held. If something can't be removed, it only takes
// disk space until the next time.
func prune(dir, keep string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	type version struct {
		path string
		used time.Time
	}
	var versions []version
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		removeUnfinished(path)
		versions = append(versions, version{path, info.ModTime()})
	}
	slices.SortFunc(versions, func(a, b version) int { return b.used.Compare(a.used) })
	for i, v := range versions {
		if i >= keepVersions && v.path != keep && time.Since(v.used) > keepRecent {
			_ = os.RemoveAll(v.path)
		}
	}
}

// removeUnfinished removes the files of builds that did not finish. The lock must be
// held, so that nobody is writing one.
func removeUnfinished(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != binaryName {
			_ = os.Remove(path)
		}
		return nil
	})
}
