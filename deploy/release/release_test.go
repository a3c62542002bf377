package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const testVersion = "v1.2.3-test.1"

// made is a release of this machine's platform, which all tests look at. That of all
// platforms would compile for minutes.
var made = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "release-test-*")
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = run(context.Background(), []string{"-source", "../..", "-out", filepath.Join(dir, "dist"), "-version", testVersion, "-platforms", "linux/" + runtime.GOARCH}, &out)
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := made(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func dist(t *testing.T) string {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "dist")
}

// Two releases of a commit are the same to the last byte, also from another folder.
func TestTwoReleasesAreTheSame(t *testing.T) {
	first := dist(t)
	clone := filepath.Join(t.TempDir(), "elsewhere")
	if out, err := exec.Command("git", "clone", "-q", "--no-hardlinks", "../..", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	copyChanges(t, clone)
	second := filepath.Join(t.TempDir(), "dist")
	err := run(t.Context(), []string{"-source", clone, "-out", second, "-version", testVersion, "-platforms", "linux/" + runtime.GOARCH}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	a, b := sums(t, first), sums(t, second)
	if a != b {
		t.Errorf("the checksums differ:\n%s\n%s", a, b)
	}
	if n := strings.Count(a, "\n"); n != 5 {
		t.Errorf("%d files, not 5:\n%s", n, a)
	}
}

// copyChanges copies what is not committed to the clone, so that the test also tells
// something while one works.
func copyChanges(t *testing.T, clone string) {
	t.Helper()
	out, err := exec.Command("git", "-C", "../..", "status", "--porcelain", "-uall", "--no-renames").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line[3:])
		from, to := filepath.Join("../..", name), filepath.Join(clone, name)
		data, err := os.ReadFile(from)
		if os.IsNotExist(err) {
			os.Remove(to)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func sums(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, sumsName))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sha256sum reads the checksums, and finds a file that was changed.
func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(dist(t))); err != nil {
		t.Fatal(err)
	}
	check := func() error {
		cmd := exec.Command("sha256sum", "--check", "--strict", sumsName)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dynamic-toolset-1.2.3-test.1.tgz"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if check() == nil {
		t.Error("sha256sum did not see that the chart is another one")
	}
}

// The program, the image's labels and tag, and the chart have one version.
func TestVersionsAgree(t *testing.T) {
	image, index := readImage(t)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config.Labels["org.opencontainers.image.version"]; got != testVersion {
		t.Errorf("the image is labelled %q", got)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Annotations["org.opencontainers.image.version"]; got != testVersion {
		t.Errorf("the index is labelled %q", got)
	}

	program := filepath.Join(t.TempDir(), programName)
	archive := filepath.Join(dist(t), "dynamic-toolset_1.2.3-test.1_linux_"+runtime.GOARCH+".tar.gz")
	if err := os.WriteFile(program, unpackGzip(t, archive)[programName], 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "dynamic-toolset "+testVersion+" ") {
		t.Errorf("the program says %q, %v", out, err)
	}

	chart := string(unpackGzip(t, filepath.Join(dist(t), "dynamic-toolset-1.2.3-test.1.tgz"))["dynamic-toolset/Chart.yaml"])
	for _, line := range []string{"\nversion: 1.2.3-test.1\n", "\nappVersion: " + testVersion + "\n"} {
		if !strings.Contains(chart, line) {
			t.Errorf("Chart.yaml has no line %q:\n%s", strings.TrimSpace(line), chart)
		}
	}
}

// The bill of materials names the libraries that the service is known to be made of.
func TestMaterials(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(dist(t), "dynamic-toolset_1.2.3-test.1_linux_"+runtime.GOARCH+"_sbom.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct {
			Name     string
			Licenses []any
			Evidence struct{ Licenses []any }
		}
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version != testVersion {
		t.Errorf("format %s, version %q", bom.BOMFormat, bom.Metadata.Component.Version)
	}
	if got := licenseOfGo(t, data); got != "BSD-3-Clause" {
		t.Errorf("the license of Go's standard library is %q", got)
	}
	found := map[string]bool{}
	licensed := 0
	for _, c := range bom.Components {
		found[c.Name] = true
		if len(c.Licenses)+len(c.Evidence.Licenses) > 0 {
			licensed++
		}
	}
	for _, module := range []string{"github.com/valyala/fasthttp", "k8s.io/client-go", "go.uber.org/zap", "std"} {
		if !found[module] {
			t.Errorf("%s is not in it", module)
		}
	}
	if found["sigs.k8s.io/kind"] {
		t.Error("kind is in it, which is not in the program")
	}
	if licensed*10 < len(bom.Components)*9 {
		t.Errorf("only %d of %d have a license", licensed, len(bom.Components))
	}
	if bytes.Contains(data, []byte(os.TempDir())) {
		t.Error("it has a path of this machine")
	}
}

// licenseOfGo returns the license of the standard library in a bill of materials.
func licenseOfGo(t *testing.T, doc []byte) string {
	t.Helper()
	var bom struct {
		Components []struct {
			Name     string
			Licenses []struct{ License struct{ ID string } }
		}
	}
	if err := json.Unmarshal(doc, &bom); err != nil {
		t.Fatal(err)
	}
	for _, c := range bom.Components {
		if c.Name == "std" && len(c.Licenses) == 1 {
			return c.Licenses[0].License.ID
		}
	}
	return ""
}

// The tool finds no license of what is no module.
func TestLicenseOfGo(t *testing.T) {
	const doc = `{"components": [{"type": "library", "name": "x", "version": "v1"}, {"type": "library", "name": "std", "version": "go1.26.8"}]}`
	got, err := withGoLicense([]byte(doc))
	if err != nil || licenseOfGo(t, got) != "BSD-3-Clause" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := withGoLicense([]byte(`{"components": []}`)); err == nil {
		t.Error("a bill of materials without it is accepted")
	}
}

func TestReleaseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"v1.2.3": "v1.2.3", "1.2.3": "v1.2.3", "v1.2.3-rc.1": "v1.2.3-rc.1", "v1.2.3-rc.1-4-g504476b": "v1.2.3-rc.1-4-g504476b",
		"v1.2.3-4-g504476b": "v1.2.4-dev.4.g504476b", "1.2.9-4-g504476b-dirty": "v1.2.10-dev.4.g504476b-dirty",
		"504476b": "v0.0.0-g504476b", "504476b-dirty": "v0.0.0-g504476b-dirty", "1234567": "v0.0.0-g1234567",
	} {
		if got, err := releaseVersion(text); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "devel", "v1.2", "v1.2.3+build", "1.2.3 ", "v1.02.3", "vv1.2.3"} {
		if got, err := releaseVersion(text); err == nil {
			t.Errorf("%q became %s", text, got)
		}
	}
}

// What is not committed is in the release, which says so.
func TestChangesAreTold(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "first"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, changed := range []bool{false, true} {
		if changed {
			if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r, err := newRelease(t.Context(), dir, testVersion)
		if err != nil {
			t.Fatal(err)
		}
		r.target = t.TempDir()
		var out bytes.Buffer
		if err := r.list(&out); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(out.String(), "not committed"); told != changed {
			t.Errorf("changed %v: %s", changed, out.String())
		}
	}
	// A version that says nothing of changes is not given to them.
	if r, err := newRelease(t.Context(), dir, "v1.0.0"); err == nil || !strings.Contains(err.Error(), "commit or stash them, or name it v1.0.0-dirty") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := newRelease(t.Context(), dir, ""); err != nil || !strings.HasSuffix(r.version, "-dirty") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBadInput(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "old"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(full, "old")
	for want, args := range map[string][]string{
		"it must be a semantic version":            {"-version", "devel"},
		"is not empty":                             {"-version", testVersion, "-out", full},
		"such as linux/arm64":                      {"-version", testVersion, "-platforms", "linux"},
		"there are no certificates":                {"-version", testVersion, "-ca-file", roots},
		"install the package ca-certificates":      {"-version", testVersion, "-ca-file", filepath.Join(full, "none")},
		"a release is made from a commit":          {"-source", full},
		"there are no arguments":                   {"now"},
		"none of the platforms is Linux":           nil, // below
		"unsupported GOOS/GOARCH pair linux/i8086": {"-version", testVersion, "-platforms", "linux/i8086", "-out", filepath.Join(full, "new")},
	} {
		if args == nil {
			continue
		}
		if args[0] == "-version" {
			args = append(args, "-source", "../..")
		}
		err := run(t.Context(), args, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", args, err, want)
		}
	}
	if err := (&release{}).image(t.Context()); err == nil || !strings.Contains(err.Error(), "none of the platforms is Linux") {
		t.Errorf("an image without programs: %v", err)
	}
}

// unpack unpacks a tar archive, and returns the folder.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "--extract", "--file", archive, "--directory", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// unpackGzip returns the files of an archive.
func unpackGzip(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
