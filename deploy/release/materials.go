package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// materials writes the software bill of materials of each program: the modules that are
// compiled into it, as the program itself says, and their licenses, as far as they can be
// detected. The tool is CycloneDX's own for Go (https://github.com/CycloneDX/cyclonedx-gomod),
// which go.mod of this folder pins.
func (r *release) materials(ctx context.Context) error {
	// Not "go tool cyclonedx-gomod", which would look for the program in this folder.
	out, err := output(ctx, filepath.Join(r.source, "deploy", "release"), nil, "go", "tool", "-n", "cyclonedx-gomod")
	if err != nil {
		return err
	}
	tool := strings.TrimSpace(string(out))
	for _, b := range r.built {
		if err := r.materialsOf(ctx, tool, b); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) materialsOf(ctx context.Context, tool string, b built) error {
	work, err := os.MkdirTemp("", "release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	program := filepath.Join(work, programName)
	if err := os.WriteFile(program, b.program, 0o755); err != nil {
		return err
	}
	if err := r.download(ctx, b); err != nil {
		return err
	}
	// Without a serial number and a time, which would differ each time. The versions of
	// modules come from the program, their licenses from the module cache. The tool runs go
	// outside of the module, which would ask for the checksums there; those of go.sum have
	// been compared by download.
	doc, err := output(ctx, r.source, []string{"GOFLAGS=-mod=mod", "GOPROXY=off", "GOSUMDB=off"}, tool, "bin",
		"-json", "-std", "-licenses", "-noserial", "-notimestamp", "-version", r.version, program)
	if err != nil {
		return err
	}
	if doc, err = withGoLicense(doc); err != nil {
		return fmt.Errorf("the bill of materials for %s: %w", b.platform, err)
	}
	return os.WriteFile(r.file(r.name(b.platform)+"_sbom.cdx.json"), doc, 0o644)
}

// standardLibrary is the name of Go's standard library in a bill of materials.
var standardLibrary = regexp.MustCompile(`"name":\s*"std",`)

// withGoLicense adds the license of Go's standard library (https://go.dev/LICENSE), which is
// no module, so that the tool finds none for it in the module cache.
func withGoLicense(doc []byte) ([]byte, error) {
	found := standardLibrary.FindAllIndex(doc, -1)
	if len(found) != 1 {
		return nil, fmt.Errorf("it has Go's standard library %d times, and should have it once", len(found))
	}
	end := found[0][1]
	return slices.Concat(doc[:end], []byte(` "licenses": [{"license": {"id": "BSD-3-Clause"}}],`), doc[end:]), nil
}

// download makes sure that the module cache has all modules of a program, with what go mod
// download wants to know of them: a build does without some of it.
func (r *release) download(ctx context.Context, b built) error {
	info, err := buildinfo.Read(bytes.NewReader(b.program))
	if err != nil {
		return fmt.Errorf("the modules of the program for %s: %w", b.platform, err)
	}
	args := []string{"mod", "download"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		args = append(args, m.Path+"@"+m.Version)
	}
	_, err = output(ctx, r.source, []string{"GOFLAGS=-mod=mod"}, "go", args...)
	return err
}
