package render_test

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/chart/v2/util"

	"kubernaut.io/dynamic-toolset/deploy/render"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// A packaged chart gives the same objects: the archive has everything that is needed, and
// not the folder ci/.
func TestPackagedChart(t *testing.T) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := util.Save(chart, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	values, err := render.Values(chartDir + "/ci/production-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	release := render.Release{Name: name, Namespace: namespace, Values: values}
	folder, _, err := render.Helm(chartDir, release)
	if err != nil {
		t.Fatal(err)
	}
	packaged, _, err := render.Helm(archive, release)
	if err != nil {
		t.Fatal(err)
	}
	if len(packaged) < 10 {
		t.Fatalf("the archive makes %d objects", len(packaged))
	}
	for _, d := range render.Compare(folder, packaged) {
		t.Errorf("the folder's, and the archive's: %s", d)
	}
	for _, f := range chart.Files {
		if f.Name != ".helmignore" && !strings.HasPrefix(f.Name, "files/") {
			t.Errorf("the archive has the file %s, which no template uses", f.Name)
		}
	}
}

// What Write writes can be read again.
func TestWrite(t *testing.T) {
	objects := ways[2].kustomize(t)
	var text strings.Builder
	if err := render.Write(&text, objects); err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Parse([]byte(text.String()), "written")
	if err != nil {
		t.Fatal(err)
	}
	if d := render.Compare(objects, again); len(d) > 0 || len(again) != len(objects) {
		t.Errorf("%d of %d objects, differences %v", len(again), len(objects), d)
	}
}

// If the folder, the chart or the values don't exist or are wrong, the error names them.
func TestMistakes(t *testing.T) {
	if _, err := manifest.Kustomize("../overlays/none"); err == nil || !strings.Contains(err.Error(), "../overlays/none") {
		t.Error(err)
	}
	if _, _, err := render.Helm("../none", render.Release{}); err == nil || !strings.Contains(err.Error(), "the chart ../none can't be read") {
		t.Error(err)
	}
	if _, err := render.Values("none.yaml"); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Error(err)
	}
	if _, err := render.Values("doc.go"); err == nil || !strings.Contains(err.Error(), "doc.go") {
		t.Error(err)
	}
}
