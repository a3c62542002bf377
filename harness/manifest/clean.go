package manifest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverFields are the fields of metadata that the API server sets. Finalizers are among
// them, since who would remove them is not there.
var serverFields = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
	"managedFields", "selfLink", "ownerReferences", "finalizers",
}

// serverAnnotations are set by controllers and by kubectl.
var serverAnnotations = []string{
	"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation",
	"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller",
}

// made are the kinds that controllers make of others, by their names alone.
var made = []string{"Event", "EndpointSlice", "Endpoints", "ControllerRevision", "Lease", "Node", "ComponentStatus", "PodMetrics", "CSINode", "VolumeAttachment"}

// Clean makes objects that were read from a cluster (kubectl get -o yaml) fit to be
// applied to another one: it removes what the API server and controllers have set, and
// leaves out what controllers make of other objects. The notes say what it left out.
func Clean(objects []Object) (kept []Object, notes []string) {
	var left []string
	for _, o := range objects {
		if ofController(o) {
			left = append(left, o.String())
			continue
		}
		clean(o)
		kept = append(kept, o)
	}
	if len(left) > 0 {
		notes = append(notes, fmt.Sprintf("Left out, as controllers make them: %s.", short(left)))
	}
	return kept, notes
}

// short lists the first of many names.
func short(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// ofController reports whether an object would be made by a controller.
func ofController(o Object) bool {
	for _, r := range o.GetOwnerReferences() {
		if r.Controller != nil && *r.Controller {
			return true
		}
	}
	if slices.Contains(made, o.GetKind()) {
		return true
	}
	switch o.GetKind() {
	case "Secret":
		kind, _, _ := unstructured.NestedString(o.Object, "type")
		return kind == "kubernetes.io/service-account-token"
	case "ConfigMap":
		return o.GetName() == "kube-root-ca.crt"
	case "Service":
		return o.GetName() == "kubernetes" && (o.GetNamespace() == "" || o.GetNamespace() == "default")
	}
	return false
}

func clean(o Object) {
	live := o.GetUID() != "" || o.GetResourceVersion() != "" || len(o.GetManagedFields()) > 0
	for _, f := range serverFields {
		unstructured.RemoveNestedField(o.Object, "metadata", f)
	}
	if annotations := o.GetAnnotations(); len(annotations) > 0 {
		for _, a := range serverAnnotations {
			delete(annotations, a)
		}
		o.SetAnnotations(annotations)
	}
	delete(o.Object, "status")
	unstructured.RemoveNestedField(o.Object, "spec", "template", "metadata", "creationTimestamp")
	switch o.GetKind() {
	case "Service":
		cleanService(o, live)
	case "PersistentVolumeClaim":
		unstructured.RemoveNestedField(o.Object, "spec", "volumeName")
	case "ServiceAccount":
		if live {
			delete(o.Object, "secrets")
		}
	case "Namespace":
		delete(o.Object, "spec") // its finalizers
	}
}

// cleanService removes addresses and, if the API server has chosen them, ports.
func cleanService(o Object, live bool) {
	spec, _ := o.Object["spec"].(map[string]any)
	if spec == nil {
		return
	}
	if ip, _ := spec["clusterIP"].(string); ip != "None" {
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	if !live {
		return
	}
	for _, f := range []string{"ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"} {
		delete(spec, f)
	}
	ports, _ := spec["ports"].([]any)
	for _, p := range ports {
		if port, ok := p.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
}
