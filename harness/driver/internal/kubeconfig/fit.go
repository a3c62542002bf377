package kubeconfig

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Fit moves every object into the namespace. Namespaces and kinds that the cluster does
// not know are left out; other cluster-scoped objects are an error.
func (e *existing) Fit(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, []string, error) {
	return fit(objects, e.target.Namespace, func(gvk schema.GroupVersionKind) (bool, error) {
		mapping, err := e.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return false, fmt.Errorf("the cluster knows no %s of %s: %w", gvk.Kind, gvk.GroupVersion(), err)
		}
		return mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
	})
}

func fit(objects []*unstructured.Unstructured, namespace string, namespaced func(schema.GroupVersionKind) (bool, error)) ([]*unstructured.Unstructured, []string, error) {
	var fitted []*unstructured.Unstructured
	var outside, leftOut, unknown []string
	names := map[string]string{} // of kind and name, with the namespace before
	for _, o := range objects {
		inside, err := namespaced(o.GroupVersionKind())
		switch {
		case meta.IsNoMatchError(err):
			unknown = append(unknown, o.GetKind()+" "+o.GetName())
			continue
		case err != nil:
			return nil, nil, err
		case inside:
		case o.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Namespace"}:
			leftOut = append(leftOut, o.GetName())
			continue
		default:
			outside = append(outside, o.GetKind()+" "+o.GetName())
			continue
		}
		key := o.GroupVersionKind().GroupKind().String() + " " + o.GetName()
		if from, ok := names[key]; ok {
			return nil, nil, fmt.Errorf("the manifests have %s %s in the namespaces %q and %q, and here both would go into %s: leave one out", o.GetKind(), o.GetName(), from, o.GetNamespace(), namespace)
		}
		names[key] = o.GetNamespace()
		o.SetNamespace(namespace)
		if err := moveSubjects(o, namespace); err != nil {
			return nil, nil, err
		}
		fitted = append(fitted, o)
	}
	if len(outside) > 0 {
		return nil, nil, fmt.Errorf("in an existing cluster nothing is made outside of a namespace of our own, and the manifests have %s: name manifests without them (for our own service: deploy/overlays/namespaced)", strings.Join(outside, ", "))
	}
	if len(fitted) == 0 {
		return nil, nil, errors.New("the manifests have nothing that goes into a namespace")
	}
	var notes []string
	if len(unknown) > 0 {
		notes = append(notes, fmt.Sprintf("Left out, as the cluster has no such kinds: %s.", strings.Join(unknown, ", ")))
	}
	if len(leftOut) > 0 {
		notes = append(notes, fmt.Sprintf("Everything ran in the namespace %s; the manifests' namespaces (%s) were not made.", namespace, strings.Join(leftOut, ", ")))
	}
	return fitted, notes, nil
}

// moveSubjects changes the ServiceAccounts in a RoleBinding, as they have moved, too.
func moveSubjects(o *unstructured.Unstructured, namespace string) error {
	if o.GetKind() != "RoleBinding" {
		return nil
	}
	subjects, found, err := unstructured.NestedSlice(o.Object, "subjects")
	if err != nil || !found {
		return err
	}
	for _, s := range subjects {
		if subject, ok := s.(map[string]any); ok && subject["kind"] == "ServiceAccount" {
			subject["namespace"] = namespace
		}
	}
	return unstructured.SetNestedSlice(o.Object, subjects, "subjects")
}
