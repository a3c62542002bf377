package sim

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// emptyVolumes replaces the volumes that a workload's pods claim by empty folders, and
// reports whether there are any.
func emptyVolumes(o *unstructured.Unstructured) bool {
	spec, _ := o.Object["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	if o.GetKind() == "Pod" {
		pod = spec
	}
	if pod == nil {
		return false
	}
	changed := false
	volumes, _ := pod["volumes"].([]any)
	for _, v := range volumes {
		volume, _ := v.(map[string]any)
		for _, source := range []string{"persistentVolumeClaim", "ephemeral"} {
			if _, ok := volume[source]; ok {
				delete(volume, source)
				volume["emptyDir"] = map[string]any{}
				changed = true
			}
		}
	}
	claims, _ := spec["volumeClaimTemplates"].([]any)
	for _, c := range claims {
		claim, _ := c.(map[string]any)
		name, _, err := unstructured.NestedString(claim, "metadata", "name")
		if err != nil || name == "" {
			continue // the API server says what is wrong
		}
		volumes = append(volumes, map[string]any{"name": name, "emptyDir": map[string]any{}})
		changed = true
	}
	if len(claims) > 0 {
		delete(spec, "volumeClaimTemplates")
		pod["volumes"] = volumes
	}
	return changed
}
