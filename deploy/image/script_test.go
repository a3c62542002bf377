package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// The tests in this file need no Docker: scripts/image finds a docker and a go command
// that only record their arguments.

const fakeDocker = `#!/bin/sh
echo "docker $*" >>"$CALLS"
case $1 in
version) echo "a warning" >&2; echo "${FAKE_ENGINE:-linux/amd64}"; [ -z "$FAKE_DOWN" ] ;;
create) echo container ;;
cp) tar -cf - -T /dev/null ;;
image) [ -z "$FAKE_LOST" ] || { echo; exit 1; }; echo "sha256:0123 31500000" ;;
esac
`

// fakeGo writes a program where it is told to.
const fakeGo = `#!/bin/sh
echo "go GOOS=$GOOS GOARCH=$GOARCH CGO_ENABLED=$CGO_ENABLED $*" >>"$CALLS"
while [ $# -gt 1 ]; do
	[ "$1" = -o ] && echo program >"$2"
	shift
done
`

// pretend runs scripts/image with these commands instead of the real ones. It returns the
// output of the script and the commands that it has run.
func pretend(t *testing.T, commands map[string]string, env ...string) (out string, calls []string, err error) {
	t.Helper()
	bin := t.TempDir()
	// Nothing else is in its path, so that it can't find a real docker.
	for _, name := range []string{"awk", "bash", "chmod", "cp", "date", "dirname", "env", "git", "grep", "head", "mkdir", "mktemp", "rm", "sh", "tar", "timeout", "wc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range commands {
		writeFile(t, filepath.Join(bin, name), []byte(text), 0o700)
	}
	roots := t.TempDir() + "/roots"
	writeFile(t, roots, []byte("-----BEGIN CERTIFICATE-----\n"), 0o600)
	log := t.TempDir() + "/calls"
	out, err = script(t, append([]string{"PATH=" + bin, "CALLS=" + log, "CA_FILE=" + roots}, env...))
	content, readErr := os.ReadFile(log) // #nosec G304 -- the test's own file
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		t.Fatal(readErr)
	}
	return out, strings.Split(strings.TrimSpace(string(content)), "\n"), err
}

var fakes = map[string]string{"docker": fakeDocker, "go": fakeGo}

// call returns the one call that begins with start.
func call(t *testing.T, calls []string, start string) string {
	t.Helper()
	var found []string
	for _, c := range calls {
		if strings.HasPrefix(c, start) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d calls start with %q among\n%s", len(found), start, strings.Join(calls, "\n"))
	}
	return found[0]
}

func TestScriptSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	dynamic := dir + "/dynamic"
	writeFile(t, dynamic, []byte("\x7fELF /lib64/ld-linux-x86-64.so.2"), 0o700)
	for name, c := range map[string]struct {
		commands map[string]string
		env      []string
		want     string
	}{
		"no docker":             {map[string]string{"go": fakeGo}, nil, "there is no docker command; install Docker"},
		"no engine":             {fakes, []string{"FAKE_DOWN=1"}, "the Docker engine does not answer; start it"},
		"no go":                 {map[string]string{"docker": fakeDocker}, nil, "there is no go command; install Go, or use PREBUILT=FILE or SELF_CONTAINED=1"},
		"no roots":              {fakes, []string{"CA_FILE=" + dir + "/none"}, "install the package ca-certificates, or set CA_FILE"},
		"empty roots":           {fakes, []string{"CA_FILE=/dev/null"}, "there are no CA roots in /dev/null"},
		"no program":            {fakes, []string{"PREBUILT=" + dir + "/none"}, "there is no such file"},
		"needs a loader":        {fakes, []string{"PREBUILT=" + dynamic}, "build it with CGO_ENABLED=0"},
		"two ways":              {fakes, []string{"PREBUILT=" + dynamic, "SELF_CONTAINED=1"}, "choose one"},
		"self-contained, maybe": {fakes, []string{"SELF_CONTAINED=yes"}, "give 1, or leave it away"},
		"unknown target":        {fakes, []string{"TARGET=other"}, "there are dynamic-toolset (the default), loadagent and verify"},
		"unknown platform":      {fakes, []string{"PLATFORM=arm64"}, "it must be linux/ARCH"},
		"engine of Windows":     {fakes, []string{"FAKE_ENGINE=windows/amd64"}, "set PLATFORM"},
		"unknown time":          {fakes, []string{"SOURCE_DATE_EPOCH=today"}, "seconds since 1970"},
	} {
		t.Run(name, func(t *testing.T) {
			out, calls, err := pretend(t, c.commands, c.env...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.HasPrefix(out, "image: ") || !strings.Contains(out, c.want) {
				t.Errorf("it ends with %v and says\n%s\nwant %q", err, out, c.want)
			}
			if slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "docker build") }) {
				t.Error("it builds all the same")
			}
		})
	}
}

// The image has what git says about the commit.
func TestScriptDescribesTheCommit(t *testing.T) {
	git := func(args ...string) string {
		out, err := exec.Command("git", args...).Output() // #nosec G204 -- our own arguments
		if err != nil {
			testenv.Missing(t, "a git checkout", "Test in a clone of the repository: "+err.Error())
		}
		return strings.TrimSpace(string(out))
	}
	out, calls, err := pretend(t, fakes)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := call(t, calls, "docker build")
	for _, want := range []string{
		"--tag dynamic-toolset:devel", "--target prebuilt --build-arg PREBUILT=image-service ",
		// A file may have been changed meanwhile, so "-dirty" is not compared.
		"--build-arg VERSION=" + git("describe", "--tags", "--always"),
		"--build-arg REVISION=" + git("rev-parse", "HEAD"), "--build-arg SOURCE_DATE_EPOCH=" + git("log", "-1", "--format=%ct"),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("docker is not told %q:\n%s", want, got)
		}
	}
	call(t, calls, "docker rm -f container")
}

// A builder outside of the engine keeps what it builds.
func TestScriptMissesTheImage(t *testing.T) {
	out, _, err := pretend(t, fakes, "FAKE_LOST=1")
	if err == nil || !strings.Contains(out, "image: the engine does not have the image") || !strings.Contains(out, "add --load") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestScriptBuildsForAnotherPlatform(t *testing.T) {
	_, calls, err := pretend(t, fakes, "PLATFORM=linux/arm64", "TARGET=loadagent")
	if err != nil {
		t.Fatal(err)
	}
	call(t, calls, "go GOOS=linux GOARCH=arm64 CGO_ENABLED=0 build")
	if got := call(t, calls, "docker build"); !strings.Contains(got, "--platform linux/arm64") || !strings.Contains(got, "--target prebuilt --build-arg PREBUILT=image-loadagent ") {
		t.Errorf("docker is told %s", got)
	}
	call(t, calls, "docker create --platform linux/arm64")
}

func TestScriptSelfContained(t *testing.T) {
	_, calls, err := pretend(t, map[string]string{"docker": fakeDocker}, "SELF_CONTAINED=1", "GO_IMAGE=mirror/golang:1", "GOPROXY=https://mirror")
	if err != nil {
		t.Fatal(err)
	}
	got := call(t, calls, "docker build")
	for _, want := range []string{"--target dynamic-toolset ", "--build-arg GO_IMAGE=mirror/golang:1", "--build-arg GOPROXY=https://mirror"} {
		if !strings.Contains(got, want) {
			t.Errorf("docker is not told %q: %s", want, got)
		}
	}
}

// However an image is built, its programs are compiled as make does it. Only git's stamp
// is left out, since it would differ between a checkout and a container, and with
// uncommitted files.
func TestEveryWayCompilesTheSame(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		testenv.Missing(t, "make", "Install it: apt-get install make")
	}
	dry := exec.Command("make", "-n", "build", "tools", "VERSION=v1", "GO=go")
	dry.Dir = "../.."
	byMake, err := dry.Output()
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	inDocker := strings.NewReplacer("\\\n", " ", "$VERSION", "v1").Replace(string(dockerfile))
	for target, program := range map[string]string{"dynamic-toolset": ".", "loadagent": "./harness/cmd/loadagent", "verify": "./harness/cmd/verify"} {
		want := compilation(t, string(byMake), program)
		if got := compilation(t, inDocker, program); got != want {
			t.Errorf("%s: the Dockerfile compiles by %q, make by %q", target, got, want)
		}
		out, calls, err := pretend(t, fakes, "VERSION=v1", "TARGET="+target)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := compilation(t, call(t, calls, "go "), program); got != want {
			t.Errorf("%s: scripts/image compiles by %q, make by %q", target, got, want)
		}
	}
	stage := regexp.MustCompile(`(?s)FROM --platform=\$BUILDPLATFORM \$GO_IMAGE AS go\n[^F]*\nENV CGO_ENABLED=0 GOOS=\$TARGETOS GOARCH=\$TARGETARCH `)
	if !stage.MatchString(inDocker) || strings.Count(inDocker, "go build ") != strings.Count(inDocker, "FROM go AS ") {
		t.Error("a stage of the Dockerfile compiles with cgo, or for another platform")
	}
}

// compilation returns the go build command in text that compiles program, without the
// name of its output, git's stamp and quotes.
func compilation(t *testing.T, text, program string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile(`\bbuild (-trimpath [^\n&]*)`).FindAllStringSubmatch(text, -1) {
		flags := strings.NewReplacer("'", "", `"`, "", "-buildvcs=false ", "").Replace(m[1])
		words := strings.Fields(regexp.MustCompile(` -o \S+`).ReplaceAllString(flags, ""))
		if words[len(words)-1] == program {
			found = append(found, strings.Join(words, " "))
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d times %s is compiled in\n%s", len(found), program, text)
	}
	return found[0]
}

// The image of Go in which the self-contained build compiles has the version that
// the module needs.
func TestGoImageHasTheGoOfTheModule(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	needed := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindSubmatch(module)
	image := regexp.MustCompile(`(?m)^ARG GO_IMAGE=golang:(1\.\d+)-alpine$`).FindSubmatch(dockerfile)
	if needed == nil || image == nil || !bytes.Equal(needed[1], image[1]) {
		t.Errorf("go.mod needs Go %q, the Dockerfile has %q", needed, image)
	}
}

// .dockerignore leaves out nothing that is compiled or embedded.
func TestDockerignoreLeavesWhatIsCompiled(t *testing.T) {
	text, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles", ".", "./harness/cmd/loadagent", "./harness/cmd/verify")
	list.Dir, list.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		below, err := filepath.Rel(root, p.Dir)
		if err != nil || strings.HasPrefix(below, "..") {
			continue // of another module
		}
		for _, name := range append(p.GoFiles, p.EmbedFiles...) {
			checked++
			path := filepath.ToSlash(filepath.Join(below, name))
			for _, pattern := range patterns {
				if ignores(t, pattern, path) {
					t.Errorf("%s is compiled, but %s in .dockerignore leaves it out", path, pattern)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d files are compiled: go list has another form than this test reads", checked)
	}
}

// ignores reports whether a line of .dockerignore matches this file. It knows the two
// forms in use: a file or folder, and **/ before the last name.
func ignores(t *testing.T, pattern, path string) bool {
	t.Helper()
	anywhere, found := strings.CutPrefix(pattern, "**/")
	if !found {
		if strings.ContainsAny(pattern, "*?[!") {
			t.Fatalf("this test doesn't know what %q in .dockerignore means; teach it", pattern)
		}
		return path == pattern || strings.HasPrefix(path, pattern+"/")
	}
	return slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool {
		ok, err := filepath.Match(anywhere, name)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	})
}
