package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// An administrator's overrides apply to lookups and to the ConfigMap from the first
// answer on, follow each edit, and count as none while they have a mistake.
func TestOverridesKubernetes(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const user, namespace, other = "overrides-service", "overrides-system", "overrides"
	cp.namespace(t, namespace)
	cp.namespace(t, other)
	cp.grant(t, user, namespace)
	cp.service(t, other, "overridden", 3000)
	maps := cp.admin.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: configMapName},
		Data: map[string]string{overrides.Key: "toolsets:\n  - {name: overridden, disable: true}\n  - {name: gone, disable: true}\n"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	p := serve(t, "--kubeconfig", cp.kubeconfig(t, user), "--configmap-namespace", namespace, "--health-checks=false")
	const overridden = "/api/v1/toolsets/overridden"
	first := p.eventually(overridden, func(status int, _ string) bool { return status != 0 && status != 503 })
	if !strings.Contains(first, `"enabled":false`) {
		t.Errorf("the first answer is without the overrides: %s", first)
	}
	holds := func(what string, ok func(cm *corev1.ConfigMap) bool) {
		t.Helper()
		p.within(testenv.Patience, "the ConfigMap holds "+what, func() bool { return ok(cp.configMap(t, namespace)) })
	}
	has := func(text string) func(*corev1.ConfigMap) bool {
		return func(cm *corev1.ConfigMap) bool {
			return strings.Contains(cm.Data[kubernaut.Key], text) && strings.Contains(cm.Data[holmesgpt.Key], text)
		}
	}
	holds("documents without the toolset", func(cm *corev1.ConfigMap) bool {
		doc, is := cm.Data[kubernaut.Key]
		return is && !strings.Contains(doc, "overridden") && cm.Data[overrides.Key] != ""
	})
	set := func(patch string) {
		t.Helper()
		if _, err := maps.Patch(t.Context(), configMapName, types.MergePatchType, []byte(`{"data":{"overrides.yaml":`+patch+`}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(`"toolsets: [{name: overridden, namespace: overrides, url: \"http://proxy.example:80\"}]"`)
	holds("the other URL", has("http://proxy.example"))
	p.answers(overridden, 200, "http://proxy.example")
	p.answers("/metrics", 200, "\ntoolset_overrides_valid 1\n")

	set(`"toolsets: [{name: overridden, ulr: x}]"`)
	holds("what was discovered", has("overridden.overrides"))
	p.answers("/metrics", 200, "\ntoolset_overrides_valid 0\n", "\ntoolset_overrides_errors_total 1\n")
	set(`null`)
	p.answers("/metrics", 200, "\ntoolset_overrides_valid 1\n")

	p.stop()
	log := p.log.text()
	if n := strings.Count(log, "Some overrides are about no toolset that is known"); n != 1 || !strings.Contains(log, "toolsets[1] (gone)") {
		t.Errorf("the override of a toolset that isn't there is logged %d times", n)
	}
	if !strings.Contains(log, `ulr`) {
		t.Error("the log does not name the mistake")
	}
}
