package main

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// An administrator's overrides hold in lookups and in the ConfigMap from the first
// answer on, follow each edit, and count as none while they have a mistake.
func TestOverridesKubernetes(t *testing.T) {
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
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const user, namespace, name = "toolset-service", "kubernaut-system", "kubernaut-toolset-config"
	for _, ns := range []string{namespace, "monitoring"} {
		_, err := admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(err)
	}
	grant(ctx, t, admin, user, namespace)
	_, err = admin.CoreV1().Services("monitoring").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "grafana", Labels: map[string]string{"app.kubernetes.io/name": "grafana"}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app.kubernetes.io/name": "grafana"}, Ports: []corev1.ServicePort{{Name: "http", Port: 3000}}},
	}, metav1.CreateOptions{})
	must(err)
	maps := admin.CoreV1().ConfigMaps(namespace)
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name},
		Data: map[string]string{service.OverridesKey: "toolsets:\n  - {name: grafana, disable: true}\n  - {name: gone, disable: true}\n"}}, metav1.CreateOptions{})
	must(err)

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(cp.WriteKubeconfigAs(kubeconfig, user))
	api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
	cmd := command(t, "--kubeconfig", kubeconfig, "--listen", api, "--metrics-listen", metricsPort, "--shutdown-propagation-delay", "200ms", "--health-checks=false")
	var log strings.Builder
	cmd.Stderr = &log
	must(cmd.Start())
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	url := "http://" + api
	grafana, metrics := url+"/api/v1/toolsets/grafana", "http://"+metricsPort+"/metrics"
	first := eventually(t, grafana, func(status int, _ string) bool { return status != 0 && status != 503 })
	if !strings.Contains(first, `"enabled":false`) {
		t.Errorf("the first answer is without the overrides: %s", first)
	}
	holds := func(what string, ok func(cm *corev1.ConfigMap) bool) {
		t.Helper()
		for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if cm, err := maps.Get(ctx, name, metav1.GetOptions{}); err == nil && ok(cm) {
				return
			}
		}
		t.Fatalf("the ConfigMap never held %s; the service's log:\n%s", what, log.String())
	}
	has := func(text string) func(*corev1.ConfigMap) bool {
		return func(cm *corev1.ConfigMap) bool {
			return strings.Contains(cm.Data[service.KubernautKey], text) && strings.Contains(cm.Data[service.HolmesGPTKey], text)
		}
	}
	holds("documents without grafana", func(cm *corev1.ConfigMap) bool {
		doc, is := cm.Data[service.KubernautKey]
		return is && !strings.Contains(doc, "grafana") && cm.Data[service.OverridesKey] != ""
	})
	set := func(patch string) {
		t.Helper()
		_, err := maps.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"overrides.yaml":`+patch+`}}`), metav1.PatchOptions{})
		must(err)
	}
	set(`"toolsets: [{name: grafana, namespace: monitoring, url: \"http://proxy.example:80\"}]"`)
	holds("the other URL", has("http://proxy.example"))
	eventually(t, grafana, func(_ int, body string) bool { return strings.Contains(body, "http://proxy.example") })
	eventually(t, metrics, func(_ int, body string) bool { return strings.Contains(body, "\ntoolset_overrides_valid 1\n") })

	set(`"toolsets: [{name: grafana, ulr: x}]"`)
	holds("what was discovered", has("grafana.monitoring"))
	eventually(t, metrics, func(_ int, body string) bool {
		return strings.Contains(body, "\ntoolset_overrides_valid 0\n") && strings.Contains(body, "\ntoolset_overrides_errors_total 1\n")
	})
	set(`null`)
	eventually(t, metrics, func(_ int, body string) bool { return strings.Contains(body, "\ntoolset_overrides_valid 1\n") })

	must(cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v:\n%s", err, log.String())
	}
	if n := strings.Count(log.String(), "Some overrides are about no toolset that is known"); n != 1 || !strings.Contains(log.String(), "toolsets[1] (gone)") {
		t.Errorf("the override of a toolset that isn't there is logged %d times:\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), `ulr`) {
		t.Errorf("the log does not name the mistake:\n%s", log.String())
	}
}
