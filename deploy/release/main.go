// Command release makes everything that a release of the service consists of, without a
// network (the modules must be in the module cache) and without Docker:
//
//	dynamic-toolset_VERSION_OS_ARCH.tar.gz   the program, for each platform
//	dynamic-toolset_VERSION_OS_ARCH_sbom.cdx.json
//	                                         what it is made of, in CycloneDX's format
//	dynamic-toolset_VERSION_image.tar        the container image, an OCI image layout with
//	                                         an index of the Linux platforms
//	dynamic-toolset-VERSION.tgz              the Helm chart
//	dynamic-toolset_VERSION_chart.tar        the chart as an OCI artifact, an OCI image layout
//	SHA256SUMS                               the checksums of the others
//
// Two releases of the same commit by the same Go and with the same CA roots are the same
// to the last byte: times are those of the commit, and no path of this machine is in them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "release:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	version := flags.String("version", "", "version, such as v1.2.3 (default: what git describe says)")
	source := flags.String("source", ".", "folder of the project")
	target := flags.String("out", "dist", "folder that is written; it must be empty, or not exist")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64", "platforms, with commas between them")
	roots := flags.String("ca-file", "/etc/ssl/certs/ca-certificates.crt", "CA roots of the image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there are no arguments; %q was given", flags.Arg(0))
	}
	r, err := newRelease(ctx, *source, *version)
	if err != nil {
		return err
	}
	if r.platforms, err = parsePlatforms(*platforms); err != nil {
		return err
	}
	if r.roots, err = readRoots(*roots); err != nil {
		return err
	}
	if err := emptyFolder(*target); err != nil {
		return err
	}
	r.target = *target
	for _, step := range []struct {
		name string
		make func(context.Context) error
	}{
		{"programs", r.programs},
		{"image", r.image},
		{"chart", r.chart},
		{"bills of materials", r.materials},
		{"checksums", r.checksums},
	} {
		fmt.Fprintf(os.Stderr, "making the %s of %s\n", step.name, r.version)
		if err := step.make(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return r.list(out)
}

// platform is an operating system and an architecture, as Go names them.
type platform struct{ os, arch string }

func parsePlatforms(list string) ([]platform, error) {
	var all []platform
	for _, text := range strings.Split(list, ",") {
		system, arch, ok := strings.Cut(strings.TrimSpace(text), "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("platform %q: give the operating system and the architecture, such as linux/arm64", text)
		}
		all = append(all, platform{system, arch})
	}
	return all, nil
}

// emptyFolder makes the folder. An older release in it would end up in the checksums.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		if whole, err := filepath.Abs(dir); err == nil {
			dir = whole
		}
		return fmt.Errorf("%s is not empty; remove it (or choose another folder with -out, without make)", dir)
	}
	return nil
}
