package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/internal/filelock"
)

// binaryEnv is an environment variable with the path of a binary that was built
// elsewhere, for example in an earlier stage of CI. It is used instead of building one.
const binaryEnv = "TOOLSET_SIM_BINARY"

// buildTimeout is enough for a cold compile on one slow core, or on a busy host.
const buildTimeout = 90 * time.Minute

// howLong is what users are told about a cold compile.
const howLong = "6 to 15 minutes on 2 cores, and longer beside other work"

// ErrUnavailable is wrapped by Build's error if this host can't build the binary: it
// has no go command, or the modules are neither in the module cache nor can be
// downloaded.
var ErrUnavailable = errors.New("the simulated cluster's binary cannot be built here")

// Build returns the path of the binary that contains the control plane. It compiles it
// if the cache has none for the present source and Go version. With an empty Go build
// cache, this takes 6 to 15 minutes on 2 cores. progress, which may be nil, is then
// told how many packages are compiled: on a terminal in a line that changes, or else in
// a line for each tenth. If several processes call it at once, one compiles and the
// others wait for it.
//
// The cache is os.UserCacheDir()/dynamic-toolset/sim/<hash>. Versions that were not
// used for long are removed after a compile. If the environment variable
// TOOLSET_SIM_BINARY is set, it is the result.
//
// The error wraps [ErrUnavailable] or ctx's error, or is the output of the compiler.
func Build(ctx context.Context, progress io.Writer) (binary string, err error) {
	if binary := os.Getenv(binaryEnv); binary != "" {
		if !isFile(binary) {
			return "", fmt.Errorf("%s=%s is no file: correct or unset it", binaryEnv, binary)
		}
		return filepath.Abs(binary)
	}
	b, err := newBuilder(ctx, progress)
	if err != nil {
		return "", err
	}
	if cached(b.binary) {
		return b.binary, nil
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	root := filepath.Dir(filepath.Dir(b.binary))
	unlock, err := filelock.Take(ctx, filepath.Join(root, "lock"), func() {
		b.say("another process is building the simulated cluster's binary; waiting for it (a cold compile takes " + howLong + ")")
	})
	if err != nil {
		return "", fmt.Errorf("wait for the simulated cluster's cache: %w", err)
	}
	defer unlock()
	if cached(b.binary) { // by the process that had the lock
		return b.binary, nil
	}
	if err := b.compile(ctx); err != nil {
		return "", err
	}
	prune(root, filepath.Dir(b.binary))
	return b.binary, nil
}

// A builder builds one version of the source.
type builder struct {
	dir      string // of the nested module
	ldflags  string
	version  string // of Kubernetes
	binary   string // in the cache
	progress io.Writer
	meter    *meter // while it compiles
}

func newBuilder(ctx context.Context, progress io.Writer) (*builder, error) {
	if progress == nil {
		progress = io.Discard
	}
	b := &builder{progress: progress}
	var err error
	if b.dir, err = sourceDir(); err != nil {
		return nil, err
	}
	if b.ldflags, b.version, err = linkerFlags(b.dir); err != nil {
		return nil, err
	}
	goVersion, err := b.run(ctx, "env", "GOVERSION")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	hash, err := sourceHash(b.dir, strings.TrimSpace(goVersion), runtime.GOOS, runtime.GOARCH, b.ldflags)
	if err != nil {
		return nil, err
	}
	root, err := cacheDir()
	if err != nil {
		return nil, err
	}
	b.binary = filepath.Join(root, hash, binaryName)
	return b, nil
}

// compile builds the binary in the cache.
func (b *builder) compile(ctx context.Context) error {
	start := time.Now()
	b.say("compiling the simulated cluster's binary (Kubernetes " + b.version + "), once; a cold compile takes " + howLong)

	// Listing the packages first downloads what is missing, and tells a host that can't
	// download from code that does not compile.
	packages, err := b.run(ctx, "list", "-mod=readonly", "-deps", ".")
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: its modules must be in the module cache or come from the module proxy (see go env GOPROXY): %w", ErrUnavailable, err)
	}
	if err := os.MkdirAll(filepath.Dir(b.binary), 0o755); err != nil {
		return err
	}
	// Under its own name, since the go command of a builder that was killed may still
	// write.
	unfinished := fmt.Sprintf("%s.%d.unfinished", b.binary, os.Getpid())
	defer os.Remove(unfinished)
	b.meter = newMeter(b.progress, strings.Count(packages, "\n"), start)
	// The linker drops DWARF (-w), so the compiler need not generate it, which saves
	// about a tenth of its work (measured on k8s.io/api/core/v1).
	_, err = b.run(ctx, "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", b.ldflags, "-o", unfinished, ".")
	b.meter.end()
	b.meter = nil
	if err != nil {
		return fmt.Errorf("build harness/sim/kube: %w", err)
	}
	if err := os.Rename(unfinished, b.binary); err != nil {
		return err
	}
	b.say(fmt.Sprintf("compiled in %s: %s", time.Since(start).Round(time.Second), b.binary))
	return nil
}

// run runs the go command in the nested module, and returns its standard output. When
// ctx ends, it kills the command and the compilers that this has started.
func (b *builder) run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if b.meter != nil {
		cmd.Stderr = io.MultiWriter(&stderr, b.meter)
	}
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("go %s was given up: %w; build it beforehand with: go run ./harness/sim/cmd/simcluster build", args[0], context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("install Go and put it in PATH, or set %s to a binary built elsewhere: %w", binaryEnv, err)
	}
	return "", fmt.Errorf("go %s: %w\n%s", args[0], err, lastLines(stderr.String(), 20))
}

// say writes a line of progress. It does not matter if that fails.
func (b *builder) say(line string) { _, _ = fmt.Fprintln(b.progress, "sim:", line) }
