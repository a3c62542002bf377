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

// problem says why no API server would know what this is, or would take it for a
// Service though a Service is meant; empty if all is well. Kinds that are not read
// here are only checked for being kinds.
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
	// Other groups may have a Service of their own, as serving.knative.dev has. The
	// groups of Kubernetes itself, which have no dot, have none.
	if group, _, _ := strings.Cut(h.APIVersion, "/"); strings.Contains(h.APIVersion, "/") && strings.Contains(group, ".") {
		return ""
	}
	return fmt.Sprintf("has kind %q and apiVersion %q, which no API server knows; write apiVersion: v1", cluster.Clean(h.Kind), cluster.Clean(h.APIVersion))
}

// serviceKind returns which of the kinds that are read here is meant; empty if none.
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

// isCompanion says whether a file, by its name, belongs to a tool that makes manifests
// and lies beside them as a matter of course: what is no Kubernetes object in it is no
// mistake. kustomization.yaml needs neither apiVersion nor kind.
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
