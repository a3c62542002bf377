package image_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"kubernaut.io/dynamic-toolset/harness/image"
)

func TestOpenRefuses(t *testing.T) {
	good := imageOf(t, runtime.GOARCH, layerOf(t, member{name: "app", text: strings.Repeat("x", 1<<16)}))
	text, err := os.ReadFile(save(t, map[string]v1.Image{"app:1": good}))
	if err != nil {
		t.Fatal(err)
	}
	docker := t.TempDir()
	if err := os.WriteFile(filepath.Join(docker, "manifest.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	export := t.TempDir()
	if err := os.WriteFile(filepath.Join(export, "bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	for name, content := range map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deep := t.TempDir()
	nested := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: good})
	for range 4 {
		nested = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: nested})
	}
	if _, err := layout.Write(deep, nested); err != nil {
		t.Fatal(err)
	}
	foreign := map[string]string{"amd64": "\xb7", "arm64": "\x3e"}[runtime.GOARCH] // arm64, amd64
	arm := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + foreign + "\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 32) + "\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00"
	rootfs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(rootfs, "usr/bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink("/usr/bin", filepath.Join(rootfs, "bin")), os.WriteFile(filepath.Join(rootfs, "usr/bin/sh"), []byte(arm), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct{ path, want string }{
		"nothing":                    {docker + "/none", "no such file"},
		"an empty folder":            {t.TempDir(), "is empty"},
		"an empty file":              {write(t, "f", ""), "is empty"},
		"a device":                   {"/dev/null", "neither a file nor a folder"},
		"a text":                     {write(t, "f", "hello"), "neither an archive"},
		"zstd":                       {write(t, "f", "\x28\xb5\x2f\xfd..."), "decompress it first"},
		"an unpacked archive":        {docker, "give the archive itself"},
		"docker export":              {pack(t, export), "docker export"},
		"the first half":             {write(t, "f", string(text[:len(text)/2])), "damaged"},
		"another machine":            {save(t, map[string]v1.Image{"app:1": imageOf(t, "s390x")}), "is for linux/s390x, and this machine is linux/" + runtime.GOARCH},
		"a root file system's":       {rootfs, "and this machine is linux/"},
		"a program's":                {write(t, "f", arm), "and this machine is linux/"},
		"two images":                 {save(t, map[string]v1.Image{"a:1": good, "b:1": imageOf(t, "arm64")}), "has 2 images, and none of them is app:1"},
		"a layout that lacks a file": {broken, "lacks sha256:0000"},
		"indexes in indexes":         {deep, "too deep"},
	} {
		i, err := image.Open(c.path, "app:1")
		if err == nil || !errors.Is(err, image.ErrUnusable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, not %q", what, i, err, c.want)
		}
	}
}

// What is damaged or does not fit is refused while it is unpacked, and that ends with
// the context.
func TestUnpackRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		member member
		want   string
	}{
		"an unknown kind":      {member{name: "x", kind: 'Z'}, "not known"},
		"a link to a folder":   {member{name: "x", kind: tar.TypeLink, text: "/"}, "a link to the folder"},
		"a link to nothing":    {member{name: "x", kind: tar.TypeLink, text: "none"}, "no such file"},
		"a whiteout of no one": {member{name: "x/.wh."}, "deletes no file"},
	} {
		if _, _, err := unpack(t, layerOf(t, c.member)); err == nil || !errors.Is(err, image.ErrUnusable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", what, err, c.want)
		}
	}
	changed := imageOf(t, runtime.GOARCH, layerOf(t, member{name: "x", text: "x"}))
	config, err := changed.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	if changed, err = mutate.ConfigFile(changed, config); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "layout")
	if _, err := layout.Write(folder, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: changed})); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, folder, "").Unpack(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "the file is damaged") {
		t.Errorf("another content: %v", err)
	}
	i := open(t, save(t, map[string]v1.Image{"app:1": imageOf(t, runtime.GOARCH, layerOf(t, member{name: "x", text: strings.Repeat("x", 1<<20)}))}), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := i.Unpack(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	image.SetReserve(t, 1<<62)
	if _, err := i.Unpack(t.Context(), t.TempDir()); err == nil || !errors.Is(err, image.ErrUnusable) || !strings.Contains(err.Error(), "does not fit on the disk") {
		t.Errorf("a full disk: %v", err)
	}
}
