package verify

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// patch changes the target's workload in the objects by a strategic merge patch in YAML,
// as kubectl patch does.
func (t *target) patch(objects []manifest.Object, text string) error {
	o, err := t.among(objects)
	if err != nil {
		return err
	}
	patched, err := patchObject(o, text)
	if err != nil {
		return fmt.Errorf("the patch of %s: %w", o, err)
	}
	o.Object = patched
	return nil
}

func patchObject(o manifest.Object, text string) (map[string]any, error) {
	before, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	change, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	var kind any
	switch o.GetKind() {
	case "Deployment":
		kind = appsv1.Deployment{}
	case "StatefulSet":
		kind = appsv1.StatefulSet{}
	case "DaemonSet":
		kind = appsv1.DaemonSet{}
	default:
		return nil, fmt.Errorf("a %s can't be patched", o.GetKind())
	}
	after, err := strategicpatch.StrategicMergePatch(before, change, kind)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(after, &out)
}
