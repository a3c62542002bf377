package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/service/explain"
)

// The command explains a Service of a folder, in both forms, and says what is near to one
// that is not there.
func TestExplainFromManifests(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runCommand(t, "explain", "--manifests", example, "monitoring/kps-grafana")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "monitoring/kps-grafana\n  It is listed as the toolset monitoring/kps-grafana") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = runCommand(t, "explain", "--manifests", example, "--output=json", "monitoring/kps-prometheus-node-exporter")
	var d explain.Document
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || code != 0 || stderr != "" || d.Listed || len(d.Steps) == 0 || len(d.Change) == 0 {
		t.Errorf("exit code %d, %s, %v\n%s", code, stderr, err, stdout)
	}
	code, stdout, stderr = runCommand(t, "explain", "--manifests", example, "monitoring/kps-grafan")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, `there is no Service "kps-grafan" in the namespace "monitoring"; did you mean monitoring/kps-grafana?`) {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	// A file that can't be used does not keep others from being explained.
	dir := manifests(t, "prometheus")
	if err := os.WriteFile(filepath.Join(dir, "broken.yaml"), []byte("kind: Service\napiVersion: v1\nmetadata: {name: Not_A_Name}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	overrides := writeFile(t, "o.yaml", "toolsets: [{name: prometheus, disable: true}]")
	code, stdout, stderr = runCommand(t, "explain", "--manifests", dir, "--overrides", overrides, "monitoring/prometheus")
	if code != 0 || !strings.Contains(stderr, "warning: broken.yaml") || !strings.Contains(stdout, "toolsets[0] (disable: true) applies to this toolset") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	for _, args := range [][]string{{"--manifests", example}, {"--manifests", example, "kps-grafana"}, {"monitoring/kps-grafana"}} {
		if code, stdout, stderr := runCommand(t, append([]string{"explain"}, args...)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, "dynamic-toolset explain: these settings can't work") {
			t.Errorf("%q: exit code %d, %s\n%s", args, code, stderr, stdout)
		}
	}
}

// The API explains the Services of a folder.
func TestServeExplainsManifests(t *testing.T) {
	t.Parallel()
	p := serve(t, "--manifests", manifests(t, "prometheus"))
	p.eventually("/ready", func(status int, _ string) bool { return status == http.StatusOK })
	p.answers("/api/v1/services/monitoring/prometheus/explain", 200, `"listed":true`, `"outcome":"It is listed as the toolset monitoring/prometheus`)
	if detail := p.problem(http.MethodGet, "/api/v1/services/monitoring/promethus/explain", 404); !strings.Contains(detail, "did you mean monitoring/prometheus?") {
		t.Error(detail)
	}
	if detail := p.problem(http.MethodGet, "/api/v1/services/monitoring/A%00%2e%2e/explain", 404); !strings.Contains(detail, "There is no Service") {
		t.Error(detail)
	}
}

// The API explains any Service of a cluster, as it is now, with no right but that to list
// and watch Services. Without the API server it says so.
func TestServeExplainsKubernetes(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const ns, other, user, narrowUser = "explain", "explain-other", "explainer", "explainer-narrow"
	cp.namespace(t, ns)
	cp.namespace(t, other)
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}}
	cp.bind(t, user, "", "services", rule)
	cp.bind(t, narrowUser, ns, "services", rule)
	cp.service(t, ns, "dashboards", 3000)
	cp.service(t, other, "boards-of-others", 3000)
	if err := cp.setService(t.Context(), ns, "figures", corev1.ServicePort{Name: "metrics", Port: 9100}); err != nil {
		t.Fatal(err)
	}
	kubeconfig := cp.kubeconfig(t, user)
	relay := throughRelay(t, kubeconfig)
	p := serve(t, "--kubeconfig", kubeconfig, "--configmap-enabled=false", "--identify=off")
	path := func(ns, name string) string { return "/api/v1/services/" + ns + "/" + name + "/explain" }
	p.answers(path(ns, "dashboards"), 200, `"listed":true`)
	body := p.answers(path(ns, "figures"), 200, `"listed":false`)
	if detail := p.problem(http.MethodGet, path(ns, "boards-of-others"), 404); !strings.Contains(detail, "did you mean "+other+"/boards-of-others?") {
		t.Error(detail)
	}
	if detail := p.problem(http.MethodGet, path(ns, "dashboard"), 404); !strings.Contains(detail, "did you mean "+ns+"/dashboards?") {
		t.Error(detail)
	}
	if detail := p.problem(http.MethodGet, path("explain-nowhere", "dashboards"), 404); !strings.Contains(detail, "none at all in the namespace") || !strings.Contains(detail, ns+"/dashboards") {
		t.Error(detail)
	}

	// The annotations that the answer names list the Service.
	var d explain.Document
	if err := json.Unmarshal([]byte(body), &d); err != nil || len(d.Change) == 0 {
		t.Fatalf("%v %s", err, body)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": d.Change[0].Annotations}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cp.admin.CoreV1().Services(ns).Patch(t.Context(), "figures", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	p.answers(path(ns, "figures"), 200, `"listed":true`)

	// With --namespaces, rights in these are enough, and the others are explained as such.
	narrow := serve(t, "--kubeconfig", cp.kubeconfig(t, narrowUser), "--configmap-enabled=false", "--identify=off", "--namespaces", ns)
	narrow.answers(path(ns, "dashboards"), 200, `"listed":true`)
	narrow.answers(path(other, "boards-of-others"), 200, `"listed":false`, "this service looks only into the namespace "+ns, "--namespaces="+ns+","+other)
	narrow.problem(http.MethodGet, path(ns, "boards-of-others"), 404)

	relay.cut()
	if detail := p.problem(http.MethodGet, path(ns, "dashboards"), 503); !strings.Contains(detail, "could not be read from the cluster") {
		t.Error(detail)
	}
	p.answers("/api/v1/toolsets/dashboards?namespace="+ns, 200) // lookups go on
	relay.mend()
	p.answers(path(ns, "dashboards"), 200)
}

// The command explains a Service of a cluster.
func TestExplainFromKubernetes(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const ns, user = "explain-command", "explainer-command"
	cp.namespace(t, ns)
	cp.bind(t, user, ns, "services", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	cp.service(t, ns, "dashboards", 3000)
	kubeconfig := cp.kubeconfig(t, user)
	code, stdout, stderr := runCommand(t, "explain", "--kubeconfig", kubeconfig, "--namespaces", ns, ns+"/dashboards")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "It is listed as the toolset "+ns+"/dashboards, of the type grafana") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = runCommand(t, "explain", "--kubeconfig", kubeconfig, "--namespaces", ns, "other/dashboards")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "looks only into the namespace "+ns) {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	code, stdout, stderr = runCommand(t, "explain", "--kubeconfig", kubeconfig, ns+"/dashboards")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "the cluster can't be read") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}
