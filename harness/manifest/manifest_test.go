package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The objects are in an order in which they can be applied.
func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", "# only a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: shop}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
	write(t, dir, "b.json", `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}}]}`)
	write(t, dir, "notes.txt", "nothing")
	objects, err := manifest.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.String())
	}
	if s := strings.Join(got, ", "); s != "Namespace shop, Service s, Deployment shop/d" {
		t.Error(s)
	}
}

// The manifests of this project can be read.
func TestReadOurOwn(t *testing.T) {
	objects, err := manifest.Read("../../deploy/base", "../../examples/cluster")
	if err != nil || len(objects) < 20 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "broken.yaml", "a: [")
	write(t, dir, "second.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\nkind: Pod\n")
	write(t, dir, "list.yaml", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod}]\n")
	empty := t.TempDir()
	for path, want := range map[string]string{
		dir + "/none.yaml":   "can't be read",
		dir + "/broken.yaml": "broken.yaml, document 1",
		dir + "/second.yaml": "second.yaml, document 2: an object needs apiVersion, kind and metadata.name",
		dir + "/list.yaml":   "no object with a name",
		empty:                "has no manifests",
	} {
		if _, err := manifest.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", path, err, want)
		}
	}
}

// Whatever a file contains, the result is objects with a kind and a name, or an error
// with the name of the file.
func FuzzParse(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\n"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"List","items":[{"kind":"Pod"}]}`))
	f.Add([]byte("---\n---\n- 1\n"))
	f.Add([]byte("apiVersion: v1\nkind: PodList\nitems: 3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := manifest.Parse(data, "file.yaml")
		if err != nil {
			if !strings.Contains(err.Error(), "file.yaml") {
				t.Errorf("%v", err)
			}
			return
		}
		for _, o := range objects {
			if o.GetKind() == "" || o.GetName() == "" {
				t.Errorf("an object without kind or name: %v", o.Object)
			}
		}
	})
}

// A folder with a kustomization file is built, with the folders that it names.
func TestReadKustomization(t *testing.T) {
	base, overlay := filepath.Join(t.TempDir(), "base"), ""
	overlay = filepath.Join(filepath.Dir(base), "overlay")
	for _, dir := range []string{base, overlay} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, base, "d.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: a}\nspec: {replicas: 3}\n")
	write(t, base, "n.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
	write(t, base, "left-out.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n")
	write(t, base, "kustomization.yml", "resources: [d.yaml, n.yaml]\n")
	write(t, overlay, "kustomization.yaml", "resources: [../base]\nnamespace: b\nreplicas: [{name: d, count: 5}]\n")
	objects, err := manifest.Read(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 2 || objects[0].String() != "Namespace b" || objects[1].String() != "Deployment b/d" || objects[1].File != overlay {
		t.Fatalf("%v", objects)
	}
	if n, ok := objects[1].Object["spec"].(map[string]any)["replicas"].(int64); !ok || n != 5 {
		t.Errorf("replicas: %v", objects[1].Object["spec"])
	}
	write(t, overlay, "kustomization.yaml", "resources: [../none]\n")
	if _, err := manifest.Read(overlay); err == nil || !strings.Contains(err.Error(), "kustomize can't build "+overlay) {
		t.Errorf("%v", err)
	}
}
