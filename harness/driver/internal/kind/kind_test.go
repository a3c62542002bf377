package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	kindexec "sigs.k8s.io/kind/pkg/exec"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const patched = `
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: mine
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
`

func TestConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kind.yaml")
	for text, want := range map[string][]string{
		"":                                      {"control-plane", "worker", "worker", "worker"},
		patched:                                 {"control-plane", "worker", "worker", "worker"},
		patched + "nodes: [{role: worker}, {}]": {"worker", ""}, // a node without a role is a control plane
	} {
		name := ""
		if text != "" {
			name = writeFile(t, file, text, 0o600)
		}
		c, err := configuration(name, 3, 41000)
		if err != nil {
			t.Fatal(err)
		}
		var roles []string
		for _, n := range c.Nodes {
			roles = append(roles, string(n.Role))
			mappings := 1
			if n.Role == "worker" {
				mappings = 0
			}
			if len(n.ExtraPortMappings) != mappings || mappings == 1 && (n.ExtraPortMappings[0].HostPort != 41000 || n.ExtraPortMappings[0].ListenAddress != "127.0.0.1") {
				t.Errorf("%s: %+v", n.Role, n.ExtraPortMappings)
			}
		}
		if !reflect.DeepEqual(roles, want) || c.Name != "" || (text != "") != (len(c.KubeadmConfigPatches) == 1) {
			t.Errorf("%s: %+v", text, c)
		}
	}
	for text, want := range map[string]string{
		"kind: Cluster\n":                     `apiVersion: kind.x-k8s.io/v1alpha4`,
		patched + "noodles: []\n":             "field noodles not found",
		patched + "nodes: [{role: worker}]\n": "no node of the role control-plane",
		"{":                                   "kind.yaml",
		"":                                    "must be kind: Cluster",
		strings.Repeat("#", maxConfig+1):      "larger than",
	} {
		if _, err := configuration(writeFile(t, file, text, 0o600), 1, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, not %q", text, err, want)
		}
	}
	if _, err := configuration(file+".none", 1, 1); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// An image has its files and nothing else, can be read by others, and is the same each
// time.
func TestWriteImage(t *testing.T) {
	dir := t.TempDir()
	program := writeFile(t, dir+"/program", "#!", 0o700)
	writeFile(t, dir+"/data/a/b.txt", "text", 0o600)
	if err := os.Symlink("b.txt", dir+"/data/a/link"); err != nil {
		t.Fatal(err)
	}
	image := cluster.Image{Name: "example/app:v1", Files: map[string]string{"/program": program, "/srv/data": dir + "/data"}, Entrypoint: []string{"/program", "-x"}, User: 65532}
	var first, second bytes.Buffer
	for _, to := range []*bytes.Buffer{&first, &second} {
		if err := writeImage(image, to); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two images of the same files differ")
	}
	tag, err := name.NewTag("example/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	read, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(first.Bytes())), nil }, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := read.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532" || config.OS != "linux" || !reflect.DeepEqual(config.Config.Entrypoint, image.Entrypoint) {
		t.Errorf("%+v", config)
	}
	layers, err := read.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	layer, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()
	var got []string
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{
		"-rwxr-xr-x program", "drwxr-xr-x srv/", "drwxr-xr-x srv/data/", "drwxr-xr-x srv/data/a/",
		"-rw-r--r-- srv/data/a/b.txt", "Lrwxr-xr-x srv/data/a/link",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the layer has\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	image.Files = map[string]string{"program": program}
	if err := writeImage(image, io.Discard); err == nil || !strings.Contains(err.Error(), `"program" in the container must be absolute`) {
		t.Error(err)
	}
	image.Files = map[string]string{"/program": dir + "/none"}
	if err := writeImage(image, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	image.Name = "no good name"
	if err := writeImage(image, io.Discard); err == nil || !strings.Contains(err.Error(), "the image's name") {
		t.Error(err)
	}
}

// The reason that people need is in the output of the command that failed.
func TestExplain(t *testing.T) {
	run := &kindexec.RunError{Command: []string{"docker", "pull", "x"}, Output: []byte("a\nno route to host\n"), Inner: errors.New("exit status 1")}
	err := explain(run, "")
	if err == nil || !strings.Contains(err.Error(), "creating the kind cluster: ") || !strings.Contains(err.Error(), "no route to host") {
		t.Error(err)
	}
	err = explain(errors.New(`failed to pull image "x": exit status 1`), "node:1")
	if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "node:1") || !strings.Contains(err.Error(), "--node-image") {
		t.Error(err)
	}
	if explain(nil, "") != nil {
		t.Error("an error of nothing")
	}
}

// If there is no Docker, or it does not answer, the error says so.
func TestNoEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	if _, err := exec.LookPath("docker"); err == nil {
		if _, err := Start(t.Context(), Options{}); !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "none answers") {
			t.Error(err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context(), Options{}); !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "no docker command") {
		t.Error(err)
	}
}

// guarded has this program create a cluster and be killed; see TestGuard.
const guarded = "TOOLSET_TEST_GUARDED_CLUSTER"

func TestMain(m *testing.M) {
	if cluster := os.Getenv(guarded); cluster != "" {
		if _, err := startGuard(cluster, os.Getenv(guarded+"_DIR")); err != nil {
			panic(err)
		}
		os.Stdout.WriteString("guarded\n") //nolint:errcheck // for the test
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// If the harness is killed, the cluster is removed. If it has removed the cluster
// itself, the guard ends.
func TestGuard(t *testing.T) {
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		testenv.Missing(t, "a Docker engine", lastLine(out, err))
	}
	dir := filepath.Join(t.TempDir(), "state")
	writeFile(t, dir+"/kubeconfig", "", 0o600)
	name := "guard-test-" + filepath.Base(filepath.Dir(filepath.Dir(dir)))
	name = strings.ToLower(strings.Map(func(r rune) rune {
		if r == '_' {
			return '-'
		}
		return r
	}, name))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	// A container like a node of kind, whose image this test makes.
	image := name + ":1"
	var archive bytes.Buffer
	program := writeFile(t, t.TempDir()+"/program", "#!", 0o700)
	if err := writeImage(cluster.Image{Name: image, Files: map[string]string{"/program": program}, Entrypoint: []string{"/program"}}, &archive); err != nil {
		t.Fatal(err)
	}
	load := exec.CommandContext(ctx, "docker", "load")
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker load: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image).Run() })
	docker("create", "--label", nodesOf+name, image)
	docker("create", "--label", nodesOf+name+"-another", image)
	t.Cleanup(func() { removeNodes(name + "-another") })
	count := func(cluster string) int {
		return len(strings.Fields(docker("ps", "-aq", "--filter", "label="+nodesOf+cluster)))
	}

	harness := exec.CommandContext(ctx, os.Args[0])
	harness.Env = append(os.Environ(), guarded+"="+name, guarded+"_DIR="+dir)
	out, err := harness.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := harness.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("guarded\n"))); err != nil {
		t.Fatal(err)
	}
	if count(name) != 1 {
		t.Fatal("there is no node to remove: the test sees nothing")
	}
	if err := harness.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = harness.Wait()
	for count(name) > 0 || exists(dir) {
		if ctx.Err() != nil {
			t.Fatal("the node or the state of the killed harness is still there")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if count(name+"-another") != 1 {
		t.Error("another cluster's node was removed, too")
	}

	g, err := startGuard(name+"-another", dir)
	if err != nil {
		t.Fatal(err)
	}
	g.dismiss() // waits until it has ended
	if count(name+"-another") != 1 {
		t.Error("a dismissed guard removed the node")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
