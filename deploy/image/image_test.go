// Package image tests the container image: what is in it, that it runs without any
// rights, that it stops as Kubernetes stops it, and that the two ways to build it
// (scripts/image with a compiler on this machine, docker build with one in a container)
// compile the same.
package image

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Bounds on the size of the images, in bytes. When they were set, the service's had 35.1
// MB and the load generator's 13.7 MB. They should notice a new dependency, but not each
// new file. They notice a template of the standard library, too, which makes the service's
// 21 MB larger: it finds methods by name, so the linker keeps every exported method of every
// type.
const (
	largestService   = 40_000_000
	largestLoadAgent = 15_000_000
	largestVerifier  = 65_000_000
)

const (
	testRevision = "0123456789abcdef0123456789abcdef01234567"
	testEpoch    = 1_700_000_000
)

// testVersion belongs to this process only, which finds its images by it.
var testVersion = fmt.Sprintf("v0.0.1-image-test.%d", os.Getpid())

// described are the variables for scripts/image in these tests.
var described = []string{"VERSION=" + testVersion, "REVISION=" + testRevision, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", testEpoch)}

func TestService(t *testing.T) {
	needDocker(t)
	image := serviceImage(t)
	v := inspect(t, image)
	if v.Os != "linux" || v.Config.User != "65532:65532" || v.Config.StopSignal != "SIGTERM" || v.Config.WorkingDir != "/" {
		t.Errorf("system %s, user %s, stop signal %s, folder %s", v.Os, v.Config.User, v.Config.StopSignal, v.Config.WorkingDir)
	}
	if !slices.Equal(v.Config.Entrypoint, []string{"/dynamic-toolset"}) || len(v.Config.Cmd) > 0 {
		t.Errorf("entrypoint %q, command %q", v.Config.Entrypoint, v.Config.Cmd)
	}
	if ports := slices.Sorted(maps.Keys(v.Config.ExposedPorts)); !slices.Equal(ports, []string{"8080/tcp", "9090/tcp"}) {
		t.Errorf("ports %q", ports)
	}
	if len(v.Config.Volumes) > 0 {
		t.Errorf("volumes %v", v.Config.Volumes)
	}
	checkLabels(t, v, "Dynamic Toolset Service")
	checkSize(t, v, largestService)
	checkFiles(t, files(t, image), v.Architecture, "dynamic-toolset",
		"etc", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt")

	out := docker(t, "run", "--rm", "--network", "none", "--read-only", image, "version")
	if !strings.HasPrefix(out, "dynamic-toolset "+testVersion+" go1.") {
		t.Errorf("the program says %q; the image is labelled %s", out, testVersion)
	}
}

func TestLoadAgent(t *testing.T) {
	needDocker(t)
	image := build(t, "loadagent-test", append(described, "TARGET=loadagent")...)
	v := inspect(t, image)
	if v.Config.User != "65532:65532" || !slices.Equal(v.Config.Entrypoint, []string{"/loadagent"}) {
		t.Errorf("user %s, entrypoint %q", v.Config.User, v.Config.Entrypoint)
	}
	if ports := slices.Sorted(maps.Keys(v.Config.ExposedPorts)); !slices.Equal(ports, []string{"9000/tcp"}) {
		t.Errorf("ports %q", ports)
	}
	checkLabels(t, v, "Dynamic Toolset load generator")
	checkSize(t, v, largestLoadAgent)
	checkFiles(t, files(t, image), v.Architecture, "loadagent")
	if out := docker(t, "run", "--rm", "--network", "none", "--read-only", image, "--help"); !strings.Contains(out, "Usage: loadagent") {
		t.Errorf("--help says %q", out)
	}
}

// The Job of deploy/verify runs this image, as the user and by the command that are in it.
func TestVerifier(t *testing.T) {
	needDocker(t)
	image := build(t, "verify-test", append(described, "TARGET=verify")...)
	v := inspect(t, image)
	if v.Config.User != "65532:65532" || !slices.Equal(v.Config.Entrypoint, []string{"/verify"}) || len(v.Config.ExposedPorts) > 0 {
		t.Errorf("user %s, entrypoint %q, ports %v", v.Config.User, v.Config.Entrypoint, v.Config.ExposedPorts)
	}
	checkLabels(t, v, "Dynamic Toolset verifier")
	checkSize(t, v, largestVerifier)
	checkFiles(t, files(t, image), v.Architecture, "verify")
	if out := docker(t, "run", "--rm", "--network", "none", "--read-only", image, "--version"); !strings.HasPrefix(out, "verify "+testVersion) {
		t.Errorf("--version says %q", out)
	}
}

// A program that was compiled before becomes the same image.
func TestPrebuilt(t *testing.T) {
	needDocker(t)
	compiled := build(t, "compiled-test", append(described, "TARGET=loadagent")...)
	program := t.TempDir() + "/program"
	writeFile(t, program, files(t, compiled)["loadagent"].content, 0o600)
	prebuilt := build(t, "prebuilt-test", append(described, "TARGET=loadagent", "PREBUILT="+program)...)
	if want, got := inspect(t, compiled).RootFS.Layers, inspect(t, prebuilt).RootFS.Layers; !slices.Equal(got, want) {
		t.Errorf("the layers are %q; want those of the image from which the program is, %q", got, want)
	}
}

// Two builds of one commit have the same layers, even if nothing is cached and time has
// passed, so that the same is pushed and pulled. (Before BuildKit 0.11, the ids of the
// images differ by the time of the build.)
func TestTwoBuildsHaveTheSameLayers(t *testing.T) {
	needDocker(t)
	first := inspect(t, serviceImage(t))
	// Times in an image are in seconds.
	time.Sleep(1100 * time.Millisecond)
	second := inspect(t, build(t, "second-test", described...))
	if len(first.RootFS.Layers) != 1 || !slices.Equal(first.RootFS.Layers, second.RootFS.Layers) {
		t.Errorf("the layers are %q, then %q; want one, the same", first.RootFS.Layers, second.RootFS.Layers)
	}
}

func checkLabels(t *testing.T, v inspected, title string) {
	t.Helper()
	const prefix = "org.opencontainers.image."
	for name, want := range map[string]string{
		"title": title, "version": testVersion, "revision": testRevision, "created": "2023-11-14T22:13:20Z", "vendor": "Kubernaut",
	} {
		if got := v.Config.Labels[prefix+name]; got != want {
			t.Errorf("label %s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"description", "source", "documentation"} {
		if v.Config.Labels[prefix+name] == "" {
			t.Errorf("there is no label %s", name)
		}
	}
}

func checkSize(t *testing.T, v inspected, largest int64) {
	t.Helper()
	t.Logf("%.1f MB", float64(v.Size)/1e6)
	if v.Size > largest {
		t.Errorf("the image has %d bytes, more than %d: find out by what (go version -m, go tool nm -size), then raise the bound if it must be", v.Size, largest)
	}
}

// checkFiles checks that an image has the program and the named files, and nothing else;
// so it has no shell either.
func checkFiles(t *testing.T, all map[string]file, arch, program string, others ...string) {
	t.Helper()
	want := slices.Sorted(slices.Values(append(others, program)))
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Fatalf("the image holds %q, want %q", got, want)
	}
	for path, f := range all {
		h := f.header
		mode := int64(0o644)
		if h.FileInfo().IsDir() || path == program {
			mode = 0o755
		}
		// The mode includes the setuid and setgid bits.
		if h.Mode&0o7777 != mode || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("/%s has mode %o and owner %d:%d; want %o and 0:0, so that the program can't change it", path, h.Mode&0o7777, h.Uid, h.Gid, mode)
		}
		if !h.ModTime.Equal(time.Unix(testEpoch, 0)) {
			t.Errorf("/%s is of %s, not of the commit's time", path, h.ModTime)
		}
		if strings.HasSuffix(path, ".crt") && bytes.Count(f.content, []byte("-----BEGIN CERTIFICATE-----")) < 50 {
			t.Errorf("/%s has %d bytes and hardly a CA", path, len(f.content))
		}
	}
	checkStatic(t, all[program].content, arch)
}

// checkStatic checks that a program needs no loader and no library, and has no symbol
// table, which nobody would use.
func checkStatic(t *testing.T, program []byte, arch string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if want, ok := machine[arch]; ok && f.Machine != want {
		t.Errorf("the program is for %s, the image for %s", f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: it has a segment %s", p.Type)
		}
	}
	for _, name := range []string{".symtab", ".debug_info", ".zdebug_info"} {
		if f.Section(name) != nil {
			t.Errorf("the program is not stripped: it has a section %s", name)
		}
	}
}
