package sim

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// A StatefulSet keeps what it mounts by the names of its claims.
func TestEmptyVolumes(t *testing.T) {
	for text, want := range map[string]string{
		"spec: {volumeClaimTemplates: [{metadata: {name: data}}], template: {spec: {volumes: [{name: c, configMap: {name: x}}]}}}": `{"spec":{"template":{"spec":{"volumes":[{"configMap":{"name":"x"},"name":"c"},{"emptyDir":{},"name":"data"}]}}}}`,
		"spec: {template: {spec: {volumes: [{name: d, persistentVolumeClaim: {claimName: d}}]}}}":                                  `{"spec":{"template":{"spec":{"volumes":[{"emptyDir":{},"name":"d"}]}}}}`,
		"kind: Pod\nspec: {volumes: [{name: d, ephemeral: {}}]}":                                                                   `{"kind":"Pod","spec":{"volumes":[{"emptyDir":{},"name":"d"}]}}`,
		"spec: {template: {spec: {volumes: [{name: c, configMap: {name: x}}]}}}":                                                   "",
		"kind: Service\nspec: {ports: []}":                                                                                         "",
	} {
		var content map[string]any
		if err := yaml.Unmarshal([]byte(text), &content); err != nil {
			t.Fatal(err)
		}
		changed := emptyVolumes(&unstructured.Unstructured{Object: content})
		got, err := json.Marshal(content)
		if err != nil || changed != (want != "") || changed && string(got) != want {
			t.Errorf("%s:\n%s, %v, %v, want\n%s", text, got, changed, err, want)
		}
	}
}
