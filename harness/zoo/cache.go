package zoo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/internal/filelock"
)

// ErrUnavailable is wrapped by errors that say that a server can't be had on this host.
var ErrUnavailable = errors.New("it can't be had here")

// keepUnused is how long an older version of a server stays: another checkout may use it.
const keepUnused = 7 * 24 * time.Hour

// A Program is a server that is there to be run.
type Program struct {
	Server Server
	// Root is a folder with the root file system of its image; empty: it has only Files,
	// which are paths in the container, and those of this host.
	Root  string
	Files map[string]string
	// Version is that of the server, or what it is made of.
	Version string
}

// Get returns a server's program. It builds or downloads what the cache does not have:
// os.UserCacheDir()/dynamic-toolset/zoo/NAME-HASH, where the hash is of all that goes into
// it. progress gets a line for what takes long.
func Get(ctx context.Context, s Server, progress io.Writer) (*Program, error) {
	source, err := sourceDir(ctx)
	if err != nil {
		return nil, err
	}
	p := &Program{Server: s, Files: map[string]string{}}
	own := filepath.Join(source, "files", s.Name) // what it finds in /app
	if s.Go != nil {
		if err = p.build(ctx, source, progress); isDir(own) {
			p.Files["/app"] = own
		}
	} else {
		err = p.unpack(ctx, own, progress)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return p, nil
}

// sourceDir returns the folder of this package in the checkout around the working
// directory.
func sourceDir(ctx context.Context) (string, error) {
	dir, err := run(ctx, "", nil, "go", "list", "-m", "-f", "{{.Dir}}", modulePath)
	if err != nil {
		return "", fmt.Errorf("%w: run this in a checkout of %s: %w", ErrUnavailable, modulePath, err)
	}
	return filepath.Join(strings.TrimSpace(dir), "harness", "zoo"), nil
}

const modulePath = "kubernaut.io/dynamic-toolset"

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// cacheDir returns the folder of all servers.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory for servers (set HOME or XDG_CACHE_HOME): %w", err)
	}
	dir := filepath.Join(cache, "dynamic-toolset", "zoo")
	return dir, os.MkdirAll(dir, 0o755)
}

// cached returns the folder NAME-KEY of the cache, which fill makes if it is not there. It
// is complete once it is there, since it is renamed to its name.
func cached(ctx context.Context, name, key string, fill func(dir string) error) (string, error) {
	root, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, name+"-"+key)
	unlock, err := filelock.Take(ctx, filepath.Join(root, name+".lock"), nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	now := time.Now()
	if isDir(dir) {
		return dir, os.Chtimes(dir, now, now)
	}
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil { // of a process that was killed
		return "", err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := fill(unfinished); err != nil {
		return "", errors.Join(err, os.RemoveAll(unfinished))
	}
	prune(root, name, now.Add(-keepUnused))
	if err := os.Chtimes(unfinished, now, now); err != nil { // an archive may have set an old time
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// prune removes versions of a server that were last used before a time. The server's lock
// must be held.
func prune(root, name string, before time.Time) {
	old, err := filepath.Glob(filepath.Join(root, name+"-*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		key := strings.TrimPrefix(filepath.Base(dir), name+"-")
		if info, err := os.Stat(dir); err == nil && len(key) == keyLength && info.ModTime().Before(before) {
			_ = os.RemoveAll(dir)
		}
	}
}

// keyLength is how many hexadecimal digits of a hash are in a folder's name.
const keyLength = 20

// run runs a command in a folder, and returns what it prints. When ctx ends, the command
// is killed, with all that it has started.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("%s %s was given up: %w", name, args[0], context.Cause(ctx))
		}
		text := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, text[max(0, len(text)-2000):])
	}
	return stdout.String(), nil
}
