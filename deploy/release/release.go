package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// release is what is made, and where it comes from.
type release struct {
	source    string // the folder of the project
	target    string // the folder that is written
	version   string // such as v1.2.3: of the program, the image and the chart's appVersion
	revision  string // the commit
	created   time.Time
	changed   bool // the folder has changes that are not committed
	platforms []platform
	roots     []byte // PEM
	built     []built
}

// number returns the version without its v, as Helm wants the version of a chart and as
// names of files have it.
func (r *release) number() string { return strings.TrimPrefix(r.version, "v") }

// file returns the path of a file of the release.
func (r *release) file(name string) string { return filepath.Join(r.target, name) }

func newRelease(ctx context.Context, source, version string) (*release, error) {
	git := func(args ...string) (string, error) {
		out, err := output(ctx, source, nil, "git", args...)
		return strings.TrimSpace(string(out)), err
	}
	r := &release{source: source}
	var err error
	if r.revision, err = git("rev-parse", "HEAD"); err != nil {
		return nil, fmt.Errorf("a release is made from a commit: %w", err)
	}
	derived := version == ""
	if derived {
		if version, err = git("describe", "--tags", "--always", "--dirty"); err != nil {
			return nil, err
		}
	}
	if r.version, err = releaseVersion(version); err != nil {
		return nil, err
	}
	status, err := git("status", "--porcelain")
	if err != nil {
		return nil, err
	}
	r.changed = status != ""
	if r.changed && !strings.Contains(r.version, "-") {
		return nil, fmt.Errorf("the folder has changes that are not in the commit, so that nobody could make %s again; see git status, and commit or stash them, or name it %s-dirty", r.version, r.version)
	}
	if r.changed && derived && !strings.HasSuffix(r.version, "-dirty") {
		r.version += "-dirty" // there are only new files, of which git describe does not tell
	}
	seconds, err := git("log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the time of the commit: %w", err)
	}
	r.created = time.Unix(unix, 0).UTC()
	return r, nil
}

// What git describe says where there are no tags, and where the last one is of an older
// commit.
var (
	untagged = regexp.MustCompile(`^[0-9a-f]{7,40}(-dirty)?$`)
	after    = regexp.MustCompile(`^v?(\d+\.\d+)\.(\d+)-(\d+)-(g[0-9a-f]{7,40})(-dirty)?$`)
)

// releaseVersion returns the version with a v. It is a semantic version (semver.org), since
// Helm takes nothing else for a chart, and it has no build metadata, since a tag of an image
// cannot have a plus sign.
func releaseVersion(text string) (string, error) {
	if untagged.MatchString(text) {
		return "v0.0.0-g" + text, nil
	}
	if m := after.FindStringSubmatch(text); m != nil {
		// As it stands it would be older than its tag (https://semver.org, 11.3).
		patch, err := strconv.Atoi(m[2])
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("v%s.%d-dev.%s.%s%s", m[1], patch+1, m[3], m[4], m[5]), nil
	}
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil {
		return "", fmt.Errorf("version %q: %w; it must be a semantic version, such as v1.2.3 or v1.2.3-rc.1", text, err)
	}
	if v.Metadata() != "" {
		return "", fmt.Errorf("version %q: a tag of an image cannot have the part after the plus sign; leave it away", text)
	}
	return "v" + v.String(), nil
}

// output runs a command in a folder and returns what it prints. An error has what it printed
// to standard error.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

func readRoots(name string) ([]byte, error) {
	roots, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("CA roots, with which the service verifies https back ends: %w; install the package ca-certificates, or set -ca-file", err)
	}
	if !bytes.Contains(roots, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil, fmt.Errorf("there are no certificates in %s; install the package ca-certificates, or set -ca-file", name)
	}
	return roots, nil
}

// checksums writes SHA256SUMS, as sha256sum --check reads it.
func (r *release) checksums(context.Context) error {
	entries, err := os.ReadDir(r.target) // sorted by name
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, e := range entries {
		sum, err := checksum(r.file(e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, e.Name())
	}
	return os.WriteFile(r.file(sumsName), sums.Bytes(), 0o644)
}

const sumsName = "SHA256SUMS"

func checksum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// list prints what was made.
func (r *release) list(out io.Writer) error {
	entries, err := os.ReadDir(r.target)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, of commit %s, in %s:\n", r.version, r.revision[:min(12, len(r.revision))], r.target)
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(out, "  %-60s %6.1f MB\n", e.Name(), float64(info.Size())/1e6)
	}
	if r.changed {
		fmt.Fprintln(out, "The project has changes that are not committed, so nobody can make the same release again.")
	}
	return errors.Join(errs...)
}
