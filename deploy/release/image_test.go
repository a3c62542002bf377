package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	helm "helm.sh/helm/v4/pkg/registry"
)

// Another project's library reads the image, checks each digest, and pushes it.
func TestImage(t *testing.T) {
	image, index := readImage(t)
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	server := httptest.NewServer(registry.New())
	defer server.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://")+"/dynamic-toolset:"+testVersion, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := digestOf(t, image), digestOf(t, pulled); a != b {
		t.Errorf("pushed %s, pulled %s", a, b)
	}

	content := map[string]string{}
	r := tar.NewReader(mutate.Extract(pulled))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", h.Name, h.Uid, h.Gid)
		}
		content[strings.TrimSuffix(h.Name, "/")] = fs.FileMode(h.Mode).String()
	}
	want := map[string]string{
		"dynamic-toolset": "-rwxr-xr-x", "etc": "-rwxr-xr-x", "etc/ssl": "-rwxr-xr-x", "etc/ssl/certs": "-rwxr-xr-x",
		"etc/ssl/certs/ca-certificates.crt": "-rw-r--r--",
	}
	for name, mode := range want {
		if content[name] != mode {
			t.Errorf("%s has mode %q, not %s", name, content[name], mode)
		}
	}
	if len(content) != len(want) {
		t.Errorf("files %v", content)
	}
}

// The image is described as the Dockerfile describes it.
func TestImageIsThatOfTheDockerfile(t *testing.T) {
	image, _ := readImage(t)
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	// The stages "image" and "image-service".
	_, text, _ := strings.Cut(string(data), "FROM scratch AS image\n")
	text, _, _ = strings.Cut(text, "FROM image AS image-loadagent")
	labels := regexp.MustCompile(`(org\.opencontainers\.image\.[a-z]+)=("[^"]*"|\$[A-Z]+)`).FindAllStringSubmatch(text, -1)
	if len(labels) != len(file.Config.Labels) || len(labels) < 7 {
		t.Errorf("the Dockerfile has %d labels, the image has %v", len(labels), file.Config.Labels)
	}
	for _, l := range labels {
		got, ok := file.Config.Labels[l[1]]
		if !ok || strings.HasPrefix(l[2], `"`) && got != strings.Trim(l[2], `"`) {
			t.Errorf("label %s is %q; in the Dockerfile it is %s", l[1], got, l[2])
		}
	}
	for instruction, got := range map[string]string{
		"USER":       file.Config.User,
		"WORKDIR":    file.Config.WorkingDir,
		"STOPSIGNAL": file.Config.StopSignal,
		"ENTRYPOINT": `["` + strings.Join(file.Config.Entrypoint, `", "`) + `"]`,
	} {
		if !strings.Contains(text, instruction+" "+got+"\n") {
			t.Errorf("%s is %q, which is not in the Dockerfile:\n%s", instruction, got, text)
		}
	}
	ports := regexp.MustCompile(`EXPOSE (.*)`).FindStringSubmatch(text)
	if len(strings.Fields(ports[1])) != len(file.Config.ExposedPorts) {
		t.Errorf("ports %v; the Dockerfile has %s", file.Config.ExposedPorts, ports[1])
	}
	for _, port := range strings.Fields(ports[1]) {
		if _, ok := file.Config.ExposedPorts[port+"/tcp"]; !ok {
			t.Errorf("port %s is not exposed", port)
		}
	}
}

// Helm's own client pulls the chart from a registry that has it.
func TestChartIsAnArtifact(t *testing.T) {
	path, err := ocilayout.FromPath(unpack(t, filepath.Join(dist(t), "dynamic-toolset_1.2.3-test.1_chart.tar")))
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New())
	defer server.Close()
	where := strings.TrimPrefix(server.URL, "http://") + "/charts/dynamic-toolset:1.2.3-test.1"
	ref, err := name.ParseReference(where, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, artifact); err != nil {
		t.Fatal(err)
	}
	client, err := helm.NewClient(helm.ClientOptPlainHTTP(), helm.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := client.Pull(where)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(dist(t), "dynamic-toolset-1.2.3-test.1.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pulled.Chart.Data, packed) {
		t.Error("Helm pulled another chart than the packed one")
	}
	if m := pulled.Chart.Meta; m.Name != "dynamic-toolset" || m.Version != "1.2.3-test.1" || m.AppVersion != testVersion {
		t.Errorf("Helm reads name %s, version %s, appVersion %s", m.Name, m.Version, m.AppVersion)
	}
}

// readImage returns this machine's image, and the index that names it.
func readImage(t *testing.T) (v1.Image, v1.ImageIndex) {
	t.Helper()
	path, err := ocilayout.FromPath(unpack(t, filepath.Join(dist(t), "dynamic-toolset_1.2.3-test.1_image.tar")))
	if err != nil {
		t.Fatal(err)
	}
	top, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != testVersion {
		t.Fatalf("the layout has %+v", manifest.Manifests)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image, index
}

func digestOf(t *testing.T, image v1.Image) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
