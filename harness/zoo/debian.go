package zoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// onlyDebian has apt choose Debian's own packages on a host that has others' too.
const onlyDebian = "Package: *\nPin: release o=Debian\nPin-Priority: 1001\n"

// unpack makes a root file system of a server's Debian packages, what they depend on, and
// a folder of ours, which becomes /app. Scripts of the packages do not run, and nothing of
// them is installed on this host.
//
// The versions are those that apt would install today, from this host's suite.
func (p *Program) unpack(ctx context.Context, own string, progress io.Writer) error {
	root, err := cacheDir()
	if err != nil {
		return err
	}
	pins := filepath.Join(root, "preferences")
	if err := os.WriteFile(pins, []byte(onlyDebian), 0o644); err != nil {
		return err
	}
	packages, err := resolve(ctx, root, pins, p.Server.Debian)
	if err != nil {
		return fmt.Errorf("%w: it needs Debian's apt-get, and its lists (apt-get update): %w", ErrUnavailable, err)
	}
	for _, pkg := range packages {
		if name, version, _ := strings.Cut(pkg, "="); name == p.Server.Debian[0] {
			p.Version = version
		}
	}
	h := sha256.New()
	fmt.Fprintln(h, strings.Join(packages, "\n"))
	if err := hashFiles(h, own, func(string) bool { return true }); err != nil {
		return err
	}
	p.Root, err = cached(ctx, p.Server.Name, hex.EncodeToString(h.Sum(nil))[:keyLength], func(dir string) error {
		_, _ = fmt.Fprintf(progress, "zoo: downloading %d packages for %s, once\n", len(packages), p.Server.Name)
		if err := makeRoot(ctx, pins, packages, dir); err != nil {
			return err
		}
		return os.CopyFS(filepath.Join(dir, "app"), os.DirFS(own))
	})
	return err
}

// aptLists is where apt keeps what it knows of all packages.
const aptLists = "/var/lib/apt/lists"

// resolve is closure, of which it keeps the result until apt's lists change: to answer, apt
// reads them all, which takes many seconds on a busy host.
func resolve(ctx context.Context, root, pins string, packages []string) ([]string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", packages)
	lists, err := os.ReadDir(aptLists)
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		if info, err := l.Info(); err == nil && info.Mode().IsRegular() {
			fmt.Fprintf(h, "%q %d %d\n", l.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	file := filepath.Join(root, "packages-"+hex.EncodeToString(h.Sum(nil))[:keyLength])
	if text, err := os.ReadFile(file); err == nil {
		return strings.Fields(string(text)), nil
	}
	found, err := closure(ctx, pins, packages)
	if err != nil {
		return nil, err
	}
	unfinished := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(unfinished, []byte(strings.Join(found, "\n")), 0o644); err != nil {
		return nil, err
	}
	return found, os.Rename(unfinished, file)
}

// closure returns packages and all that they depend on, as NAME=VERSION, in order.
func closure(ctx context.Context, pins string, packages []string) ([]string, error) {
	// With an empty status, apt takes no package for installed.
	args := append([]string{"-o", "Dir::Etc::preferences=" + pins, "-o", "Dir::State::status=/dev/null", "--no-install-recommends", "-s", "install"}, packages...)
	out, err := run(ctx, "", []string{"LC_ALL=C"}, "apt-get", args...)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^Inst (\S+) \((\S+) `).FindAllStringSubmatch(out, -1) {
		found = append(found, m[1]+"="+m[2])
	}
	if len(found) == 0 {
		return nil, errors.New("apt-get names no package")
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// merged are the folders that Debian has moved to /usr, with links where they were.
var merged = []string{"bin", "sbin", "lib", "lib32", "lib64"}

// makeRoot downloads packages and unpacks them into dir.
func makeRoot(ctx context.Context, pins string, packages []string, dir string) error {
	archives, err := os.MkdirTemp(filepath.Dir(dir), "archives-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(archives) //nolint:errcheck // nothing depends on it
	args := append([]string{"-o", "Dir::Etc::preferences=" + pins, "-o", "Acquire::Retries=3", "download"}, packages...)
	if os.Getuid() == 0 { // otherwise apt warns that its own user can't write here
		args = append([]string{"-o", "APT::Sandbox::User=root"}, args...)
	}
	if _, err := run(ctx, archives, []string{"LC_ALL=C"}, "apt-get", args...); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, name := range merged {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		// tar keeps the links of merged folders, which dpkg-deb --extract would replace.
		const extract = `set -e; dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink --no-same-owner -C "$2"`
		if _, err := run(ctx, "", nil, "bash", "-o", "pipefail", "-c", extract, "bash", file, dir); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
		}
	}
	for file, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":  "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
