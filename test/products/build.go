package products

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/internal/filelock"
)

// A Module is a product that is built from its Go module. The folder modules/NAME has the
// go.mod and go.sum that pin it, with the replacements of the product's own go.mod, which
// don't apply to a dependency. Each is a module of its own, since their dependencies
// conflict.
type Module struct {
	Name    string // of the folder
	Package string // the command
	Require string // the module that has it; its version is the product's
	// Big means that it takes minutes to build, and is built only on demand.
	Big bool
	// Tags are build tags that the product's own documentation offers to leave out what
	// takes long to compile and changes no answer, separated by commas.
	Tags string
	// flags returns the linker's flags that the product's own build sets, which put its
	// version into it.
	flags func(version string) string
	// release returns the product's version, for a module that has others; nil if it has
	// none.
	release func(version string) string
}

// buildTimeout bounds the build of one product. It is enough for a cold compile of the
// biggest on a busy machine.
const buildTimeout = 60 * time.Minute

// keepUnused is how long an older build stays: another checkout may use it.
const keepUnused = 24 * time.Hour

// ErrUnavailable is wrapped by Build's error if this host can't build the product: it has
// no go command, or can't get the modules.
var ErrUnavailable = errors.New("it cannot be built here")

// Build builds products that the cache does not have yet, and tells progress about it. The
// cache is os.UserCacheDir()/dynamic-toolset/products/NAME-HASH: the hash is of what goes
// into the build. The compiler's own cache, which is much bigger, is removed afterwards,
// and so are the modules of big products, which are gigabytes.
func Build(ctx context.Context, progress io.Writer, modules ...*Module) error {
	scratch := ""
	defer func() {
		if scratch != "" {
			_ = os.RemoveAll(scratch)
		}
	}()
	var problems []error
	for _, m := range modules {
		b, err := m.open(ctx)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if b.cached() {
			continue
		}
		if scratch == "" {
			if scratch, err = os.MkdirTemp(filepath.Dir(filepath.Dir(b.binary)), "compiling-"); err != nil {
				return err
			}
		}
		start := time.Now()
		_, _ = fmt.Fprintf(progress, "products: building %s %s, once\n", m.Name, b.version)
		if err := b.build(ctx, scratch); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		_, _ = fmt.Fprintf(progress, "products: built in %s: %s\n", time.Since(start).Round(time.Second), b.binary)
	}
	return errors.Join(problems...)
}

// find returns the binary, if it was built.
func (m *Module) find(ctx context.Context) (program, version string, err error) {
	b, err := m.open(ctx)
	if err != nil {
		return "", "", err
	}
	if !b.cached() {
		return "", "", fmt.Errorf("%w: build it with: go run ./test/products/cmd/build %s", errNotHere, m.Name)
	}
	version = strings.TrimPrefix(b.version, "v")
	if m.release != nil {
		version = m.release(version)
	}
	return b.binary, version, nil
}

// A built is one version of a product in the cache.
type built struct {
	m                       *Module
	dir                     string // of its go.mod
	version, flags          string
	root, binary, goVersion string
}

func (m *Module) open(ctx context.Context) (*built, error) {
	folder, err := sourceDir()
	if err != nil {
		return nil, err
	}
	b := &built{m: m, dir: filepath.Join(folder, "modules", m.Name)}
	mod, err := os.ReadFile(filepath.Join(b.dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	sum, err := os.ReadFile(filepath.Join(b.dir, "go.sum"))
	if err != nil {
		return nil, err
	}
	found := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(m.Require) + ` (v\S+)`).FindSubmatch(mod)
	if found == nil {
		return nil, fmt.Errorf("%s/go.mod requires no %s: restore the line", b.dir, m.Require)
	}
	b.version = string(found[1])
	b.flags = strings.TrimSpace("-s -w " + m.flags(b.version))
	if b.goVersion, err = b.run(ctx, "", "env", "GOVERSION"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	h := sha256.New()
	parts := []string{string(mod), string(sum), m.Package, b.flags, strings.TrimSpace(b.goVersion), runtime.GOOS, runtime.GOARCH}
	if m.Tags != "" {
		parts = append(parts, m.Tags)
	}
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(part), part)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no cache directory for products (set HOME or XDG_CACHE_HOME): %w", err)
	}
	b.root = filepath.Join(cache, "dynamic-toolset", "products")
	b.binary = filepath.Join(b.root, m.Name+"-"+hex.EncodeToString(h.Sum(nil))[:20], filepath.Base(m.Package))
	return b, os.MkdirAll(b.root, 0o755)
}

// cached reports whether there is a binary, and marks it as used. It is complete once it
// is there, since it is renamed to its name.
func (b *built) cached() bool {
	if info, err := os.Stat(b.binary); err != nil || !info.Mode().IsRegular() {
		return false
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Dir(b.binary), now, now)
	return true
}

func (b *built) build(ctx context.Context, scratch string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	unlock, err := filelock.Take(ctx, filepath.Join(b.root, b.m.Name+".lock"), nil)
	if err != nil {
		return err
	}
	defer unlock()
	if b.cached() { // by the process that had the lock
		return nil
	}
	// Downloading first tells a host that can't from code that does not compile.
	if _, err := b.run(ctx, scratch, "list", "-mod=readonly", "-tags", b.m.Tags, "-deps", b.m.Package); err != nil {
		return fmt.Errorf("%w: its modules must be in the module cache or come from the module proxy (see go env GOPROXY): %w", ErrUnavailable, err)
	}
	if err := os.MkdirAll(filepath.Dir(b.binary), 0o755); err != nil {
		return err
	}
	unfinished := fmt.Sprintf("%s.%d.unfinished", b.binary, os.Getpid())
	defer os.Remove(unfinished) //nolint:errcheck // it is there only if the build has failed
	if _, err := b.run(ctx, scratch, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-tags", b.m.Tags, "-ldflags", b.flags,
		"-o", unfinished, b.m.Package); err != nil {
		return err
	}
	b.prune()
	return os.Rename(unfinished, b.binary)
}

// prune removes older builds of the product that were not used for long. The lock must be
// held.
func (b *built) prune() {
	old, err := filepath.Glob(filepath.Join(b.root, b.m.Name+"-*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && dir != filepath.Dir(b.binary) && time.Since(info.ModTime()) > keepUnused {
			_ = os.RemoveAll(dir)
		}
	}
}

// run runs the go command in the product's module. When ctx ends, it kills the command and
// the compilers that this has started.
func (b *built) run(ctx context.Context, scratch string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if scratch != "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+filepath.Join(scratch, "build"))
		if b.m.Big {
			// Modules are read-only by default, so that they can't be removed.
			cmd.Env = append(cmd.Env, "GOMODCACHE="+filepath.Join(scratch, "modules"), "GOFLAGS=-modcacherw")
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("go %s was given up: %w", args[0], context.Cause(ctx))
		}
		text := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, text[max(0, len(text)-2000):])
	}
	return stdout.String(), nil
}

// modulePath is the main module.
const modulePath = "kubernaut.io/dynamic-toolset"

// sourceDir finds this folder: beside this file, if the source that it was compiled from is
// still there; otherwise (after -trimpath) in the checkout around the working directory.
func sourceDir() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if info, err := os.Stat(filepath.Join(filepath.Dir(file), "modules")); err == nil && info.IsDir() {
			return filepath.Dir(file), nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
			return filepath.Join(dir, "test", "products"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the modules of products (test/products/modules) were not found: run inside a checkout of " + modulePath)
		}
	}
}
