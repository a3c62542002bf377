package zoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// build builds the programs of a server of Go, statically linked.
func (p *Program) build(ctx context.Context, source string, progress io.Writer) error {
	programs := p.Server.Go
	module := filepath.Join(source, "servers", programs.Dir)
	env := []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly -trimpath -buildvcs=false"}
	version, err := run(ctx, module, env, "go", "env", "GOVERSION")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %s/%s\n", programs.Packages, strings.TrimSpace(version), runtime.GOOS, runtime.GOARCH)
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %q\n", file, text)
	}
	if local, ok := strings.CutPrefix(programs.Packages, "./"); ok {
		isGo := func(name string) bool { return filepath.Ext(name) == ".go" }
		if err := hashFiles(h, filepath.Join(module, strings.TrimSuffix(local, "/...")), isGo); err != nil {
			return err
		}
	}
	dir, err := cached(ctx, p.Server.Name, hex.EncodeToString(h.Sum(nil))[:keyLength], func(dir string) error {
		_, _ = fmt.Fprintf(progress, "zoo: building %s, once\n", p.Server.Name)
		// Downloading first tells a host that can't from code that does not compile.
		if _, err := run(ctx, module, env, "go", "list", "-deps", programs.Packages); err != nil {
			return fmt.Errorf("%w: its modules must be in the module cache or come from the module proxy (see go env GOPROXY): %w", ErrUnavailable, err)
		}
		_, err := run(ctx, module, env, "go", "build", "-ldflags", "-s -w", "-o", dir+string(filepath.Separator), programs.Packages)
		return err
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p.Files["/"+e.Name()] = filepath.Join(dir, e.Name())
	}
	p.Version, err = goVersion(filepath.Join(module, "go.mod"), p.Server, strings.TrimSpace(version))
	return err
}

// goVersion returns the version of a server's module; that of Go for its own servers.
func goVersion(file string, s Server, std string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) < 2 {
			continue
		}
		element := regexp.MustCompile(`/v[0-9]+$`).ReplaceAllString(f[0], "")
		if filepath.Base(element) == s.Name {
			return f[1], nil
		}
	}
	return std, nil
}

// hashFiles writes the files below a folder to h, those that count.
func hashFiles(h io.Writer, dir string, counts func(name string) bool) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !counts(name) {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%q %q\n", strings.TrimPrefix(name, dir), text)
		return err
	})
}
