package main

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// The whole service, as a process, against a real API server with no more
// rights than the README says: Services come and go and are served, the
// ConfigMap follows and is repaired, an outage of the API leaves the lookups.
func TestServeKubernetes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	t.Parallel() // it mostly waits
	cp := simtest.Start(t)
	admin, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*testenv.Patience)
	defer cancel()
	const user, namespace, name = "toolset-service", "kubernaut-system", "kubernaut-toolset-config"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range []string{namespace, "monitoring"} {
		_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(err)
	}
	grant(ctx, t, admin, user, namespace)

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(cp.WriteKubeconfigAs(kubeconfig, user))
	api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
	cmd := command(t, "--kubeconfig", kubeconfig, "--listen", api, "--metrics-listen", metricsPort, "--shutdown-propagation-delay", "200ms", "--health-attempts", "1")
	var log strings.Builder
	cmd.Stderr = &log
	must(cmd.Start())
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	url := "http://" + api
	eventually(t, url+"/ready", func(status int, _ string) bool { return status == 200 })

	services := admin.CoreV1().Services("monitoring")
	grafana := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "grafana", Labels: map[string]string{"app.kubernetes.io/name": "grafana"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": "grafana"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 3000}},
		},
	}
	_, err = services.Create(ctx, grafana, metav1.CreateOptions{})
	must(err)
	eventually(t, url+"/api/v1/toolsets/grafana", func(_ int, body string) bool {
		return strings.Contains(body, "http://grafana.monitoring.svc.cluster.local:3000")
	})
	_, err = services.Patch(ctx, "grafana", types.MergePatchType, []byte(`{"spec":{"ports":[{"name":"http","port":80,"targetPort":3000}]}}`), metav1.PatchOptions{})
	must(err)
	eventually(t, url+"/api/v1/toolsets/grafana", func(_ int, body string) bool {
		return strings.Contains(body, `"serviceEndpoint":"http://grafana.monitoring.svc.cluster.local:80"`)
	})

	maps := admin.CoreV1().ConfigMaps(namespace)
	holds := func(text string) string {
		t.Helper()
		for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			cm, err := maps.Get(ctx, name, metav1.GetOptions{})
			if err == nil && strings.Contains(cm.Data[service.KubernautKey], text) {
				return cm.ResourceVersion
			}
		}
		t.Fatalf("the ConfigMap never held %q; the service's log:\n%s", text, log.String())
		return ""
	}
	version := holds("grafana")
	eventually(t, url+"/api/v1/toolsets", func(_ int, body string) bool { return strings.Contains(body, `"configMapVersion":"`+version+`"`) })
	_, err = maps.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"toolset.json":"broken","theirs":"kept"}}`), metav1.PatchOptions{})
	must(err)
	holds("grafana")
	if cm, err := maps.Get(ctx, name, metav1.GetOptions{}); err != nil || cm.Data["theirs"] != "kept" {
		t.Errorf("what others keep in the ConfigMap was lost: %v, %v", cm, err)
	}
	must(maps.Delete(ctx, name, metav1.DeleteOptions{}))
	holds("grafana")

	r, err := http.Post(url+"/api/v1/toolsets/generate", "application/json", nil)
	must(err)
	r.Body.Close() //nolint:errcheck // only the status counts
	if r.StatusCode != 200 {
		t.Errorf("generate: %s", r.Status)
	}
	r, err = http.Post(url+"/api/v1/discover?wait=20s", "application/json", nil)
	must(err)
	r.Body.Close() //nolint:errcheck // only the status counts
	if r.StatusCode != 200 {
		t.Errorf("discover: %s", r.Status)
	}

	// An outage: readiness says so, lookups go on and say that they may be old.
	must(cp.StopAPIServer())
	eventually(t, url+"/ready", func(status int, body string) bool { return status == 503 && strings.Contains(body, "unreachable") })
	resp, err := http.Get(url + "/api/v1/toolsets/grafana")
	must(err)
	resp.Body.Close() //nolint:errcheck // only the header counts
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Warning"), "Stale") {
		t.Errorf("a lookup during the outage: %s, %v", resp.Status, resp.Header)
	}
	must(cp.StartAPIServer(ctx))
	eventually(t, url+"/ready", func(status int, _ string) bool { return status == 200 })
	must(services.Delete(ctx, "grafana", metav1.DeleteOptions{}))
	eventually(t, url+"/api/v1/toolsets", func(_ int, body string) bool { return strings.Contains(body, `"total":0`) })

	must(cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v:\n%s", err, log.String())
	}
}

// grant gives user the rights that the README names, and no more.
func grant(ctx context.Context, t *testing.T, admin kubernetes.Interface, user, namespace string) {
	t.Helper()
	grantConfigMap(ctx, t, admin, user, namespace)
	grantLease(ctx, t, admin, user, namespace)
}

// grantConfigMap gives it those that a single replica needs.
func grantConfigMap(ctx context.Context, t *testing.T, admin kubernetes.Interface, user, namespace string) {
	t.Helper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	meta := metav1.ObjectMeta{Name: "dynamic-toolset"}
	rbac := admin.RbacV1()
	_, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}},
	}}, metav1.CreateOptions{})
	if err == nil {
		_, err = rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{configMapName}, Verbs: []string{"list", "watch", "create", "patch"}},
		}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
