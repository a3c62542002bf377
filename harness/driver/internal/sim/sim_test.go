package sim

import (
	"testing"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

func TestAsksForUser(t *testing.T) {
	const head = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: d}\nspec: {template: {spec: "
	for text, want := range map[string]bool{
		head + "{securityContext: {runAsUser: 1}, containers: [{name: c}]}}}":                  true,
		head + "{containers: [{name: c, securityContext: {runAsGroup: 1}}]}}}":                 true,
		head + "{initContainers: [{name: c, securityContext: {runAsUser: 1}}]}}}":              true,
		head + "{securityContext: {fsGroup: 1}}}}":                                             true,
		head + "{securityContext: {runAsNonRoot: true}, containers: [{name: c}, {name: e}]}}}": false,
		head + "{}}}": false,
		"kind: Service\napiVersion: v1\nmetadata: {name: s}\nspec: {selector: {runAsUser: \"1\"}}": false,
	} {
		objects, err := manifest.Parse([]byte(text), "x.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if got := asksForUser(objects[0].Unstructured); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
