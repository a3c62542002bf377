package render_test

import (
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/deploy/render"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

const (
	deployDir = ".."
	chartDir  = "../chart"
	name      = "dynamic-toolset"
	namespace = "kubernaut-system"
)

// A way is one way to install: a folder for kustomize, and the chart with values from ci/
// ("" for none), which must give the same objects.
type way struct{ name, folder, values string }

var ways = []way{
	{"base", "../base", ""},
	{"minimal", "../overlays/minimal", "minimal"},
	{"production", "../overlays/production", "production"},
	{"namespaced", "../overlays/namespaced", "namespaced"},
	{"namespaced-writer", "../overlays/namespaced-writer", "namespaced-writer"},
	{"secured", "testdata/secured", "secured"},
	{"namespaced-evidence", "testdata/namespaced-evidence", "namespaced-evidence"},
	// An overlay of the user's own for another namespace, as in deploy/README.md.
	{"another namespace", "testdata/another-namespace", "namespaced-writer"},
}

func (w way) kustomize(t *testing.T) []manifest.Object {
	t.Helper()
	objects, err := manifest.Kustomize(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func (w way) helm(t *testing.T) []manifest.Object {
	t.Helper()
	var files []string
	if w.values != "" {
		files = []string{chartDir + "/ci/" + w.values + "-values.yaml"}
	}
	values, err := render.Values(files...)
	if err != nil {
		t.Fatal(err)
	}
	release := render.Release{Name: name, Namespace: namespace, Values: values}
	if w.name == "another namespace" {
		release.Namespace = "team-a"
	}
	objects, notes, err := render.Helm(chartDir, release)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(notes, "://dynamic-toolset."+release.Namespace+":8080/api/v1/toolsets") {
		t.Errorf("the notes don't say where the service is:\n%s", notes)
	}
	return objects
}

// renderings returns all ways rendered by both tools, for the tests of rules about
// objects.
func renderings(t *testing.T) map[string][]manifest.Object {
	t.Helper()
	all := map[string][]manifest.Object{}
	for _, w := range ways {
		all[w.name+", kustomize"], all[w.name+", chart"] = w.kustomize(t), w.helm(t)
	}
	return all
}

// Helm and kustomize give the same objects. The one difference is the Namespace: a chart
// can't create the namespace in which Helm keeps its release.
func TestChartAndOverlaysAgree(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			objects := slices.DeleteFunc(w.kustomize(t), func(o manifest.Object) bool { return o.GetKind() == "Namespace" })
			for _, d := range render.Compare(objects, w.helm(t)) {
				t.Errorf("the overlay's, and the chart's: %s", d)
			}
		})
	}
}

// The files of the base give the same objects without kustomize as with it.
func TestBaseIsPlainFiles(t *testing.T) {
	plain, err := manifest.Read("../base")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range render.Compare(plain, ways[0].kustomize(t)) {
		t.Errorf("the files', and kustomize's: %s", d)
	}
}

// Compare finds each kind of difference.
func TestCompare(t *testing.T) {
	parse := func(text string) []manifest.Object {
		objects, err := manifest.Parse([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	a := parse(`
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: x, helm.sh/chart: one}}
spec: {containers: [{name: c, env: [{name: A, value: "1"}, {name: B, value: "2"}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: gone}
`)
	b := parse(`
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: z, app.kubernetes.io/managed-by: Helm}}
spec: {priority: 1, containers: [{name: c, env: [{name: B, value: "3"}, {name: A, value: "1"}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: new}
`)
	want := []string{
		`v1 Pod p:.metadata.labels.app: "x", and "z"`,
		`v1 Pod p:.spec.containers[0].env.B.value: "2", and "3"`,
		`v1 Pod p:.spec.priority: nothing, and 1`,
		`- v1 Service gone`,
		`+ v1 Service new`,
	}
	if got := render.Compare(a, b); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := render.Compare(a, a); len(got) > 0 {
		t.Errorf("an object differs from itself: %v", got)
	}
}

// The chart's copies are up to date.
func TestCopiesAreUpToDate(t *testing.T) {
	stale, err := render.Stale(deployDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stale {
		t.Error(s)
	}
}
