package kubeconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	read, err := manifest.Parse([]byte(text), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for _, o := range read {
		all = append(all, o.Unstructured)
	}
	return all
}

// scopes answers like a cluster.
func scopes(gvk schema.GroupVersionKind) (bool, error) {
	switch gvk.Kind {
	case "Widget":
		return false, fmt.Errorf("asking: %w", &meta.NoKindMatchError{GroupKind: gvk.GroupKind()})
	case "Broken":
		return false, errors.New("the API server is away")
	case "Namespace", "ClusterRole":
		return false, nil
	}
	return true, nil
}

// Everything goes into the one namespace. What can't is refused, before anything is
// created.
func TestFit(t *testing.T) {
	all := objects(t, `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: other}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects:
- {kind: ServiceAccount, name: web, namespace: shop}
- {kind: Group, name: developers}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
`)
	fitted, notes, err := fit(all, "ours", scopes)
	if err != nil {
		t.Fatal(err)
	}
	if len(fitted) != 3 || len(notes) != 2 || !strings.Contains(notes[0], "no such kinds: Widget w") || !strings.Contains(notes[1], "namespaces (shop) were not made") {
		t.Fatalf("%d objects, %q", len(fitted), notes)
	}
	for _, o := range fitted {
		if o.GetNamespace() != "ours" {
			t.Errorf("%s %s is in %q", o.GetKind(), o.GetName(), o.GetNamespace())
		}
	}
	subjects, _, err := unstructured.NestedSlice(fitted[2].Object, "subjects")
	if err != nil || subjects[0].(map[string]any)["namespace"] != "ours" || subjects[1].(map[string]any)["namespace"] != nil {
		t.Errorf("%v, %v", subjects, err)
	}
}

func TestFitRefuses(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: a}\n---\n"
	for text, want := range map[string]string{
		service + "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: b}\n":                                                  `in the namespaces "a" and "b"`,
		service + "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\n":                                  "ClusterRole all: name manifests without them",
		service + "apiVersion: example.com/v1\nkind: Broken\nmetadata: {name: w}\n":                                                       "the API server is away",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n":                                                                          "nothing that goes into a namespace",
		service + "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b, namespace: a}\nsubjects: everybody\n": "subjects",
	} {
		if _, _, err := fit(objects(t, text), "ours", scopes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}
