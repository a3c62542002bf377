package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// keepVersions is how many binaries stay in the cache: about 145 MB each, and
	// a developer seldom moves between more branches than this.
	keepVersions = 3
	// keepRecent protects a binary from removal for this long after its last use,
	// so that one that is just being started by another process stays.
	keepRecent = time.Hour
)

// binaryName is the file's name in its cache entry.
const binaryName = "kube"

// cacheDir is where the binaries are, one directory per hash.
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

// cached returns whether a complete binary is there, and marks it as used. A
// binary appears under its name by a rename only, so one that is there is whole.
func cached(binary string) bool {
	if !isFile(binary) {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Dir(binary), now, now) // a read-only cache is fine: it is then not pruned either
	return true
}

// lockFile takes the file's exclusive lock and returns the function that gives it
// back. The lock is the kernel's (flock) and ends with the process, so a killed
// builder blocks nobody. waiting is called once if another process has the lock.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the simulated cluster's cache: %w", err)
	}
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing the last descriptor unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("another process has been building the simulated cluster's binary: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// prune removes the binaries least recently used, and what interrupted builds
// have left; keep is never removed. Call it with the lock held. Failures are left
// for the next time: they cost disk space only.
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

// removeUnfinished removes the outputs of builds that did not live to rename
// them: whoever holds the lock knows that nobody is writing one.
func removeUnfinished(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != binaryName {
			_ = os.Remove(path)
		}
		return nil
	})
}
