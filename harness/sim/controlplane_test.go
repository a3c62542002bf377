package sim_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
)

func client(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(httpClient.CloseIdleConnections)
	return c
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
}

// TestAPI tests everything in the API that the service and its tests rely on, on one
// control plane.
func TestAPI(t *testing.T) {
	cp := simtest.Start(t)
	admin := client(t, cp.RESTConfig())
	t.Run("a watch sees a Service", func(t *testing.T) { watchSeesService(t, admin) })
	t.Run("server-side apply", func(t *testing.T) { serverSideApply(t, admin) })
	t.Run("RBAC", func(t *testing.T) { rbac(t, cp, admin) })
	t.Run("kubeconfig", func(t *testing.T) { kubeconfigs(t, cp) })
	t.Run("the certificate is verified", func(t *testing.T) { strangerIsRefused(t, cp) })
	t.Run("outage", func(t *testing.T) { outage(t, cp, admin) })
}

func watchSeesService(t *testing.T, admin kubernetes.Interface) {
	ctx := testContext(t)
	services := admin.CoreV1().Services("default")
	w, err := services.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=watched"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	created, err := services.Create(ctx, service("watched"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ip := created.Spec.ClusterIP; !strings.HasPrefix(ip, "10.96.") {
		t.Errorf("the Service got the address %q", ip)
	}
	select {
	case ev := <-w.ResultChan():
		if s, ok := ev.Object.(*corev1.Service); ev.Type != watch.Added || !ok || s.UID != created.UID {
			t.Errorf("the watch reported %s %v", ev.Type, ev.Object)
		}
	case <-ctx.Done():
		t.Error("the watch reported nothing")
	}
}

func serverSideApply(t *testing.T, admin kubernetes.Interface) {
	ctx := testContext(t)
	maps := admin.CoreV1().ConfigMaps("default")
	apply := func(manager, value string) (*corev1.ConfigMap, error) {
		return maps.Apply(ctx, applycore.ConfigMap("applied", "default").WithData(map[string]string{"key": value}),
			metav1.ApplyOptions{FieldManager: manager})
	}
	cm, err := apply("one", "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(cm.ManagedFields) != 1 || cm.ManagedFields[0].Manager != "one" || cm.Data["key"] != "a" {
		t.Errorf("applied: %v, managed by %v", cm.Data, cm.ManagedFields)
	}
	if _, err := apply("two", "b"); !apierrors.IsConflict(err) {
		t.Errorf("another manager's apply to the same field: %v, want a conflict", err)
	}
}

func kubeconfigs(t *testing.T, cp *sim.ControlPlane) {
	own := filepath.Join(t.TempDir(), "bob")
	if err := cp.WriteKubeconfigAs(own, "bob"); err != nil {
		t.Fatal(err)
	}
	for path, allowed := range map[string]bool{cp.Kubeconfig(): true, own: false} {
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client(t, config).CoreV1().Secrets("kube-system").List(testContext(t), metav1.ListOptions{})
		if allowed && err != nil || !allowed && !apierrors.IsForbidden(err) {
			t.Errorf("with %s: %v", filepath.Base(path), err)
		}
	}
}

// strangerIsRefused shows that a client which trusts another authority notices.
func strangerIsRefused(t *testing.T, cp *sim.ControlPlane) {
	config := cp.RESTConfig()
	config.CAData = nil // the system's authorities
	_, err := client(t, config).CoreV1().Namespaces().Get(testContext(t), "default", metav1.GetOptions{})
	if err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("without the cluster's authority: %v, want a refused certificate", err)
	}
}

func outage(t *testing.T, cp *sim.ControlPlane, admin kubernetes.Interface) {
	ctx := testContext(t)
	before, err := admin.CoreV1().Services("default").Create(ctx, service("survivor"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := admin.CoreV1().Services("default").Watch(ctx, metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	select {
	case _, open := <-w.ResultChan():
		if open {
			t.Error("the watch reported something instead of ending")
		}
	case <-time.After(10 * time.Second):
		t.Error("the watch did not notice the outage")
	}
	host, err := url.Parse(cp.RESTConfig().Host)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.DialTimeout("tcp", host.Host, 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		if err == nil {
			_ = conn.Close()
		}
		t.Errorf("a connection during the outage: %v, want it refused", err)
	}
	if err := cp.StopAPIServer(); err != nil {
		t.Errorf("stopping it twice: %v", err)
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	after, err := admin.CoreV1().Services("default").Get(ctx, "survivor", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("the same client after the outage: %v", err)
	}
	if after.UID != before.UID {
		t.Error("the outage lost the data")
	}
}

func TestFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	binary := simtest.Binary(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	cp, err := sim.StartControlPlane(testContext(t), sim.WithBinary(binary), sim.WithAPIServerFlags("--no-such-flag"))
	if err == nil {
		t.Fatal("started with an unknown flag", cp.Stop())
	}
	if !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("the error does not hold what the API server said: %v", err)
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
