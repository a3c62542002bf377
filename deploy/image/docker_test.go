package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// dockerTimeout bounds each docker command. The longest is docker stop, with a grace of
// 45 s.
const dockerTimeout = 90 * time.Second

// needDocker ends the test if no engine answers.
func needDocker(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: builds and runs containers")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		testenv.Missing(t, "a Docker engine", fmt.Sprintf("Install and start Docker (docker version: %v: %s)", err, out))
	}
}

// docker runs a docker command, which must succeed, and returns its standard output
// without white space at the ends.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryDocker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryDocker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dockerTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...) // #nosec G204 -- the test's own arguments
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// built is what the tests have built. They run one after the other.
var built struct {
	any  bool
	name string // the service's image, which most tests use and none changes
}

func serviceImage(t *testing.T) string {
	t.Helper()
	if built.name == "" {
		built.name = buildImage(t, "service-test", described)
	}
	return built.name
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := removeBuilt(); err != nil {
		fmt.Fprintln(os.Stderr, "images are left behind:", err)
		code = 1
	}
	os.Exit(code)
}

func removeBuilt() error {
	if !built.any {
		return nil
	}
	if built.name != "" {
		if _, err := tryDocker("image", "rm", built.name); err != nil {
			return err
		}
	}
	// The legacy builder leaves behind the stages of which no image was made.
	_, err := tryDocker("image", "prune", "--force", "--filter", "label=org.opencontainers.image.version="+testVersion)
	return err
}

// build builds an image by scripts/image with the variables in env, and removes it when
// the test ends. It returns the name of the image.
func build(t *testing.T, name string, env ...string) string {
	t.Helper()
	name = buildImage(t, name, env)
	t.Cleanup(func() {
		if _, err := tryDocker("image", "rm", name); err != nil {
			t.Errorf("the image is left behind: %v", err)
		}
	})
	return name
}

func buildImage(t *testing.T, name string, env []string) string {
	t.Helper()
	name = fmt.Sprintf("toolset-%s:%d", name, os.Getpid())
	built.any = true
	out, err := script(t, append([]string{"IMAGE=" + name}, env...), "--no-cache")
	if err != nil {
		t.Fatalf("scripts/image: %v\n%s", err, out)
	}
	if !strings.Contains(out, name+"  ") || !strings.Contains(out, " MB") || !strings.Contains(out, "sha256:") {
		t.Errorf("scripts/image does not say name, size and id:\n%s", out)
	}
	return name
}

// script runs scripts/image and returns its output, standard error included.
func script(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/image", args...) // #nosec G204 -- our own script
	// Only the test's own variables may affect the build.
	for _, pair := range os.Environ() {
		switch name, _, _ := strings.Cut(pair, "="); name {
		case "IMAGE", "TARGET", "PREBUILT", "SELF_CONTAINED", "PLATFORM", "VERSION", "REVISION", "SOURCE_DATE_EPOCH", "CA_FILE", "GO_IMAGE":
		default:
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run starts a container like a pod of deploy/base: with a read-only root, without
// capabilities or a way to get more. It is removed when the test ends.
func run(t *testing.T, image string, options []string, args ...string) (id string) {
	t.Helper()
	all := append([]string{"run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}, options...)
	id = docker(t, append(append(all, image), args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			logs, err := exec.Command("docker", "logs", "--tail", "50", id).CombinedOutput() // #nosec G204 -- our container
			t.Logf("the container's log (%v):\n%s", err, logs)
		}
		if _, err := tryDocker("rm", "--force", id); err != nil {
			t.Errorf("the container is left behind: %v", err)
		}
	})
	return id
}

// inspected is the description of an image.
type inspected struct {
	ID           string `json:"Id"`
	Size         int64
	Architecture string
	Os           string
	RootFS       struct{ Layers []string }
	Config       struct {
		User, WorkingDir, StopSignal string
		Entrypoint, Cmd, Env         []string
		ExposedPorts, Volumes        map[string]struct{}
		Labels                       map[string]string
	}
}

func inspect(t *testing.T, image string) inspected {
	t.Helper()
	var all []inspected
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", image)), &all); err != nil || len(all) != 1 {
		t.Fatalf("docker image inspect: %d images, %v", len(all), err)
	}
	return all[0]
}

// file is one entry of an image's layers.
type file struct {
	header  tar.Header
	content []byte
}

// files returns the files in the layers of an image, from docker save. A running
// container has further files, from Docker.
func files(t *testing.T, image string) map[string]file {
	t.Helper()
	archive := t.TempDir() + "/image.tar"
	docker(t, "save", "--output", archive, image)
	saved := readTar(t, archive)
	var manifest []struct{ Layers []string }
	if err := json.Unmarshal(saved["manifest.json"].content, &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest.json of docker save: %d images, %v", len(manifest), err)
	}
	all := map[string]file{}
	for _, name := range manifest[0].Layers {
		layer, err := unzip(saved[name].content)
		if err != nil {
			t.Fatalf("layer %s: %v", name, err)
		}
		entries, err := readEntries(layer)
		if err != nil {
			t.Fatalf("layer %s: %v", name, err)
		}
		for path, f := range entries {
			if _, ok := all[path]; ok {
				t.Errorf("/%s is in two layers, and takes its space twice", path)
			}
			all[path] = f
		}
	}
	return all
}

func readTar(t *testing.T, path string) map[string]file {
	t.Helper()
	f, err := os.Open(path) // #nosec G304 -- the test's own file
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	entries, err := readEntries(f)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func readEntries(r io.Reader) (map[string]file, error) {
	entries := map[string]file{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(io.LimitReader(archive, 1<<30))
		if err != nil {
			return nil, err
		}
		entries[strings.TrimSuffix(h.Name, "/")] = file{*h, content}
	}
}

// unzip returns a layer uncompressed. Engines with containerd's image store save layers
// compressed.
func unzip(layer []byte) (io.Reader, error) {
	if bytes.HasPrefix(layer, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(bytes.NewReader(layer))
	}
	return bytes.NewReader(layer), nil
}
