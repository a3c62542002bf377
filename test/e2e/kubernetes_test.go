package e2e

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// The whole service as a process, at a real API server, with only those rights that the
// README lists. Services come and go and are served, the ConfigMap follows and is
// repaired, and lookups continue during an outage of the API.
func TestServeKubernetes(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const user, namespace, other = "toolset-service", "serve-system", "serve"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cp.namespace(t, namespace)
	cp.namespace(t, other)
	cp.grant(t, user, namespace)
	kubeconfig := cp.kubeconfig(t, user)
	relay := throughRelay(t, kubeconfig)
	p := serve(t, "--kubeconfig", kubeconfig, "--configmap-namespace", namespace, "--health-attempts", "1")
	p.answers("/ready", 200)

	cp.service(t, other, "serve-dashboards", 3000)
	p.answers("/api/v1/toolsets/serve-dashboards", 200, "http://serve-dashboards.serve.svc.cluster.local:3000")
	cp.service(t, other, "serve-dashboards", 80)
	p.answers("/api/v1/toolsets/serve-dashboards", 200, `"serviceEndpoint":"http://serve-dashboards.serve.svc.cluster.local:80"`)

	maps := cp.admin.CoreV1().ConfigMaps(namespace)
	holds := func(text string) (version string) {
		t.Helper()
		p.within(testenv.Patience, "the ConfigMap holds "+text, func() bool {
			cm := cp.configMap(t, namespace)
			version = cm.ResourceVersion
			return strings.Contains(cm.Data[kubernaut.Key], text)
		})
		return version
	}
	// Other tests change Services too, so the version may be higher than expected.
	p.eventually("/api/v1/toolsets", func(_ int, body string) bool {
		return strings.Contains(body, `"configMapVersion":"`+holds(`"serve-dashboards"`)+`"`)
	})
	_, err := maps.Patch(t.Context(), configMapName, types.MergePatchType, []byte(`{"data":{"toolset.json":"broken","theirs":"kept"}}`), metav1.PatchOptions{})
	must(err)
	holds(`"serve-dashboards"`)
	if cm := cp.configMap(t, namespace); cm.Data["theirs"] != "kept" {
		t.Errorf("what others keep in the ConfigMap was lost: %v", cm)
	}
	must(maps.Delete(t.Context(), configMapName, metav1.DeleteOptions{}))
	holds(`"serve-dashboards"`)

	for _, path := range []string{"/api/v1/toolsets/generate", "/api/v1/discover?wait=20s"} {
		if status, body := p.ask(http.MethodPost, path); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}

	// In an outage readiness fails, and lookups go on and say that they may be out of
	// date.
	relay.cut()
	p.answers("/ready", 503, "unreachable")
	resp, _, err := p.do(http.MethodGet, "/api/v1/toolsets/serve-dashboards")
	must(err)
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Warning"), "Stale") {
		t.Errorf("a lookup during the outage: %s, %v", resp.Status, resp.Header)
	}
	relay.mend()
	p.answers("/ready", 200)
	cp.deleteService(t, other, "serve-dashboards")
	p.answers("/api/v1/toolsets?namespace="+other, 200, `"total":0`)
	p.stop()
}
