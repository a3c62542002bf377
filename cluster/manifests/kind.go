package manifests

import (
	"fmt"
	"path"
	"strings"

	"kubernaut.io/dynamic-toolset/cluster"
)

// An objectHead is what every Kubernetes object has.
type objectHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// problem returns why an API server would not know this kind of object, or why it is not
// a Service although it looks like one is meant; empty if all is well. Of kinds that are
// not read here, it checks only that they can be kinds.
func (h objectHead) problem() string {
	ours := serviceKind(h.Kind)
	switch {
	case h.Kind == "" && h.APIVersion == "":
		return "is not a Kubernetes object: it needs apiVersion and kind"
	case h.Kind == "":
		return fmt.Sprintf("has apiVersion %q and no kind; a Service needs kind: Service", cluster.Clean(h.APIVersion))
	case h.APIVersion == "" && ours != "":
		return fmt.Sprintf("has kind %q and no apiVersion; write apiVersion: v1", cluster.Clean(h.Kind))
	case h.APIVersion == "":
		return fmt.Sprintf("has kind %q and no apiVersion; write the one that `kubectl api-resources` shows for this kind", cluster.Clean(h.Kind))
	case ours == "":
		return ""
	case h.APIVersion == "v1":
		if h.Kind != ours {
			return fmt.Sprintf("has kind %q, which no API server knows; write kind: %s", cluster.Clean(h.Kind), ours)
		}
		return ""
	}
	// Other groups may have their own Service, such as serving.knative.dev. The groups of
	// Kubernetes itself, which have no dot, have none.
	if group, _, _ := strings.Cut(h.APIVersion, "/"); strings.Contains(h.APIVersion, "/") && strings.Contains(group, ".") {
		return ""
	}
	return fmt.Sprintf("has kind %q and apiVersion %q, which no API server knows; write apiVersion: v1", cluster.Clean(h.Kind), cluster.Clean(h.APIVersion))
}

// serviceKind returns which of the kinds that are read here is meant; empty if none is.
func serviceKind(kind string) string {
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "service", "services", "svc":
		return "Service"
	case "list":
		return "List"
	case "servicelist":
		return "ServiceList"
	}
	return ""
}

// isCompanion reports whether a file has the name of a file of kustomize or Helm that is
// usually next to manifests. It is no mistake that it has something other than Kubernetes
// objects. kustomization.yaml needs neither apiVersion nor kind.
func isCompanion(file string) bool {
	base := path.Base(file)
	name, ext, _ := strings.Cut(base, ".")
	switch {
	case base == "values.schema.json":
		return true
	case ext != "yaml" && ext != "yml":
		return false
	}
	return name == "kustomization" || name == "Chart" || name == "values" || strings.HasPrefix(name, "values-")
}
