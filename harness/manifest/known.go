package manifest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// away are kinds that are left out, and why.
var away = map[string]string{
	"HorizontalPodAutoscaler":        "the number of replicas stays as it is",
	"VerticalPodAutoscaler":          "pods keep the resources that they ask for",
	"ValidatingWebhookConfiguration": "the webhook might keep pods out",
	"MutatingWebhookConfiguration":   "the webhook might keep pods out",
	"APIService":                     "nothing serves it",
	"NetworkPolicy":                  "it might keep the load generator out",
	"PersistentVolume":               "a claim gets a volume of this cluster, if it has any",
}

// still are kinds that are applied, and what that means for a verification.
var still = map[string]string{
	"Ingress":   "the traffic goes to the Service itself",
	"Gateway":   "the traffic goes to the Service itself",
	"HTTPRoute": "the traffic goes to the Service itself",
}

// Select leaves out objects that a verification has no use for, or that would hinder it,
// and those of kinds that the cluster does not know. If it is a new cluster, it knows
// Kubernetes' own kinds and those that the objects define; otherwise it is asked later.
// The notes say what was left out, and what else a reader should know.
func Select(objects []Object, newCluster bool) (kept []Object, notes []string, err error) {
	defined := definitions(objects)
	var unknown, old []string
	note := func(o Object, what, why string) {
		notes = append(notes, fmt.Sprintf("%s was %s: %s.", o, what, why))
	}
	for _, o := range objects {
		gvk := o.GroupVersionKind()
		builtin := isBuiltin(gvk)
		if outdated(gvk) {
			switch o.GetKind() {
			case "Deployment", "StatefulSet", "DaemonSet", "Service":
				return nil, nil, fmt.Errorf("%s of %s has the apiVersion %s, which Kubernetes no longer serves: write apps/v1 (v1 for a Service)", o, o.File, o.GetAPIVersion())
			}
			old = append(old, o.String())
			continue
		}
		switch {
		case away[o.GetKind()] != "" && (builtin || newCluster):
			note(o, "left out", away[o.GetKind()])
			continue
		case newCluster && !builtin && !defined[gvk.GroupKind()]:
			unknown = append(unknown, o.String())
			continue
		case still[o.GetKind()] != "":
			note(o, "applied", still[o.GetKind()])
		}
		kept = append(kept, o)
	}
	if len(unknown) > 0 {
		notes = append(notes, fmt.Sprintf("Left out, as the cluster has no such kinds: %s.", short(unknown)))
	}
	if len(old) > 0 {
		notes = append(notes, fmt.Sprintf("Left out, as Kubernetes no longer serves their apiVersion: %s.", short(old)))
	}
	scaleAsAutoscaled(objects, kept)
	return kept, notes, nil
}

// isBuiltin reports whether a kind is one of Kubernetes itself.
func isBuiltin(gvk schema.GroupVersionKind) bool {
	return scheme.Scheme.Recognizes(gvk) || slices.Contains([]string{"apiextensions.k8s.io", "apiregistration.k8s.io"}, gvk.Group)
}

// outdated reports whether a kind is Kubernetes' own, in a version that a cluster does
// not serve by default. Those that are not stable never are.
func outdated(gvk schema.GroupVersionKind) bool {
	return scheme.Scheme.IsGroupRegistered(gvk.Group) && (strings.Contains(gvk.Version, "alpha") || strings.Contains(gvk.Version, "beta"))
}

// definitions returns the kinds that the objects define.
func definitions(objects []Object) map[schema.GroupKind]bool {
	defined := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.GetKind() == "CustomResourceDefinition" {
			group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
			defined[schema.GroupKind{Group: group, Kind: kind}] = true
		}
	}
	return defined
}

// scaleAsAutoscaled gives workloads without a number of replicas, as their autoscaler
// sets it, the lowest that the autoscaler would.
func scaleAsAutoscaled(objects, kept []Object) {
	for _, h := range objects {
		if h.GetKind() != "HorizontalPodAutoscaler" {
			continue
		}
		least, found, err := unstructured.NestedInt64(h.Object, "spec", "minReplicas")
		if err != nil || !found || least < 1 {
			continue
		}
		kind, _, _ := unstructured.NestedString(h.Object, "spec", "scaleTargetRef", "kind")
		name, _, _ := unstructured.NestedString(h.Object, "spec", "scaleTargetRef", "name")
		for _, o := range kept {
			if o.GetKind() != kind || o.GetName() != name || o.GetNamespace() != h.GetNamespace() {
				continue
			}
			spec, ok := o.Object["spec"].(map[string]any)
			if ok && spec["replicas"] == nil {
				spec["replicas"] = least
			}
		}
	}
}
