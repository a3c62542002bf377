package cri

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func spec(name string) *runtime.ImageSpec { return &runtime.ImageSpec{Image: name} }

func TestImagesAsKubeletAsks(t *testing.T) {
	n := newNode(t)
	n.load("other/app", map[string]any{"user": 65532}, map[string]string{"/app": os.Getenv(appEnv)})
	pulled, err := n.images.PullImage(n.ctx(), &runtime.PullImageRequest{Image: spec(appImage)})
	must(t, err)
	st, err := n.images.ImageStatus(n.ctx(), &runtime.ImageStatusRequest{Image: spec(pulled.ImageRef)})
	must(t, err)
	if st.Image.GetId() != pulled.ImageRef || !slices.Equal(st.Image.RepoTags, []string{appImage}) || st.Image.Size < 1<<20 || !st.Image.Pinned {
		t.Errorf("by the reference %q: %v", pulled.ImageRef, st.Image)
	}
	// A container of it has the same reference.
	pod := n.sandbox("pod")
	id := pod.start("c", []string{"exit", "0"}, func(c *runtime.ContainerConfig) { c.Image.Image = pulled.ImageRef })
	if got := n.exited(id); got.ImageRef != pulled.ImageRef || got.Image.Image != appImage {
		t.Errorf("the container's image is %q, %q", got.ImageRef, got.Image.Image)
	}
	st, err = n.images.ImageStatus(n.ctx(), &runtime.ImageStatusRequest{Image: spec("docker.io/other/app:latest")})
	must(t, err)
	if st.Image.GetUid().GetValue() != 65532 {
		t.Errorf("other/app by its full name: %v", st.Image)
	}
	st, err = n.images.ImageStatus(n.ctx(), &runtime.ImageStatusRequest{Image: spec("no/such:v1")})
	must(t, err)
	if st.Image != nil {
		t.Errorf("a missing image has the status %v", st.Image)
	}
	_, err = n.images.PullImage(n.ctx(), &runtime.PullImageRequest{Image: spec("no/such:v1")})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "simcluster up --image no/such:v1=") {
		t.Errorf("the pull of a missing image: %v", err)
	}
	list, err := n.images.ListImages(n.ctx(), &runtime.ListImagesRequest{})
	must(t, err)
	if len(list.Images) != 2 {
		t.Errorf("listed: %v", list.Images)
	}
	list, err = n.images.ListImages(n.ctx(), &runtime.ListImagesRequest{Filter: &runtime.ImageFilter{Image: spec("other/app")}})
	must(t, err)
	if len(list.Images) != 1 {
		t.Errorf("listed by name: %v", list.Images)
	}
	info, err := n.images.ImageFsInfo(n.ctx(), &runtime.ImageFsInfoRequest{})
	must(t, err)
	if len(info.ImageFilesystems) != 1 || info.ImageFilesystems[0].UsedBytes.Value < 2<<20 {
		t.Errorf("the image file system is %v", info.ImageFilesystems)
	}
	if _, err := n.images.RemoveImage(n.ctx(), &runtime.RemoveImageRequest{Image: spec("no/such:v1")}); err != nil {
		t.Errorf("removal of a missing image: %v", err)
	}
	if _, err := n.images.RemoveImage(n.ctx(), &runtime.RemoveImageRequest{Image: spec(appImage)}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("removal of an image: %v", err)
	}
}

// An image that is loaded again is used by the next container, and has another
// reference.
func TestImageIsReadFreshOnEachUse(t *testing.T) {
	n := newNode(t)
	pod := n.sandbox("pod")
	dir := t.TempDir()
	var refs []string
	for _, text := range []string{"first", "second"} {
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o644))
		n.load("test/again:v1", nil, map[string]string{"/app": os.Getenv(appEnv), "/file": filepath.Join(dir, "file")})
		id := pod.start(text, []string{"/app", "read", "/file"}, func(c *runtime.ContainerConfig) { c.Image.Image = "test/again:v1" })
		refs = append(refs, n.exited(id).ImageRef)
		if got := n.output(id, "stdout"); got != text {
			t.Errorf("it reads %q, want %q", got, text)
		}
	}
	if refs[0] == refs[1] {
		t.Errorf("both have the reference %s", refs[0])
	}
}

func TestSpellingsOfImages(t *testing.T) {
	for name, want := range map[string][]string{
		"app:v1":                              {"app:v1"},
		"app":                                 {"app", "app:latest"},
		"host:5000/app":                       {"host:5000/app", "host:5000/app:latest"},
		"docker.io/library/app:latest":        {"docker.io/library/app:latest", "app:latest", "library/app:latest", "docker.io/library/app", "app", "library/app"},
		"docker.io/ns/app:v1@sha256:01234567": {"docker.io/ns/app:v1", "ns/app:v1"},
	} {
		if got := spellings(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestImagesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                    "no description of an image",
		`{}`:                                   `no "name"`,
		`{"name":"a","files":{"x":"y"}}`:       "must be absolute",
		`{"name":"a","files":{"/x/../y":"y"}}`: "must be absolute",
		`{"name":"a","files":{"/x":"../y"}}`:   "within the image's folder",
		`{"name":"a","files":{"/x":"/etc/passwd"}}`: "within the image's folder",
		`{"name":"a","env":["A"]}`:                  "no NAME=value",
		`{"name":"a","user":-1}`:                    "no description of an image",
		`{"name":"a","files":{"/x":"missing"}}`:     "the file of /x",
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, imageFile), []byte(text), 0o644))
		if img, err := readImage(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, img, err, want)
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, imageFile), []byte(strings.Repeat(" ", imageFileLimit+1)), 0o644))
	if _, err := readImage(dir); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large description: %v", err)
	}
}

// Whatever a description contains, no file outside its folder is used, and every target
// is a clean absolute path.
func FuzzParseImage(f *testing.F) {
	f.Add([]byte(`{"name":"ns/app:v1","files":{"/app/server":"files/0"},"entrypoint":["/app/server"],"env":["A=b"],"user":65532}`))
	f.Add([]byte(`{"name":"a","files":{"/..":"a/../../b"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		img, err := parseImage(text)
		if err != nil {
			return
		}
		for target, source := range img.Files {
			if !strings.HasPrefix(target, "/") || slices.Contains(strings.Split(target, "/"), "..") {
				t.Errorf("the target %q", target)
			}
			if joined := filepath.Join("/images/x", source); joined != "/images/x" && !strings.HasPrefix(joined, "/images/x/") {
				t.Errorf("the source %q", source)
			}
		}
	})
}
