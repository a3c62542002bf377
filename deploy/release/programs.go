package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const programName = "dynamic-toolset"

// programs builds the program for each platform, and packs it.
func (r *release) programs(ctx context.Context) error {
	for i, p := range r.platforms {
		fmt.Fprintf(os.Stderr, "compiling for %s on %s (%d of %d; minutes, if nothing is compiled yet)\n", p.os, p.arch, i+1, len(r.platforms))
		program, err := r.build(ctx, p)
		if err != nil {
			return err
		}
		files := []file{{programName, 0o755, program}}
		for _, doc := range []string{"README.md", "LICENSE"} {
			data, err := os.ReadFile(filepath.Join(r.source, doc))
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return err
			}
			files = append(files, file{doc, 0o644, data})
		}
		packed, err := packGzip(files, r.created)
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.file(r.name(p)+".tar.gz"), packed, 0o644); err != nil {
			return err
		}
		r.built = append(r.built, built{p, program})
	}
	return nil
}

// name returns how the files for a platform begin.
func (r *release) name(p platform) string {
	return fmt.Sprintf("%s_%s_%s_%s", programName, r.number(), p.os, p.arch)
}

// built is the program for a platform.
type built struct {
	platform platform
	program  []byte
}

// build compiles the program as make build does.
func (r *release) build(ctx context.Context, p platform) ([]byte, error) {
	work, err := os.MkdirTemp("", "release-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	name := filepath.Join(work, programName)
	_, err = output(ctx, r.source, []string{"CGO_ENABLED=0", "GOOS=" + p.os, "GOARCH=" + p.arch, "GOWORK=off"}, "go", "build",
		"-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+r.version, "-o", name, ".")
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}
