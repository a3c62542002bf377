package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A real API server with the example cluster in it gives what the manifests give;
// with the right to list Services and no other.
func TestGenerateFromKubernetes(t *testing.T) {
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
	applyExample(ctx, t, admin)
	_, err = admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}}}}, metav1.CreateOptions{})
	must(err)
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "reader"}}}, metav1.CreateOptions{})
	must(err)

	kubeconfig := filepath.Join(t.TempDir(), "reader")
	must(cp.WriteKubeconfigAs(kubeconfig, "reader"))
	for format, want := range map[string]string{"kubernaut": golden(t, service.KubernautKey), "holmesgpt": golden(t, service.HolmesGPTKey)} {
		code, stdout, stderr := runCommand(t, "generate", "--kubeconfig", kubeconfig, "--format", format, "--timeout", "1m")
		if code != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: exit code %d, %s\n%s", format, code, stderr, stdout)
		}
	}
	code, stdout, stderr := runCommand(t, "generate", "--kubeconfig", kubeconfig, "--format=kubernaut", "--namespaces", "tracing,shop", "--timeout", "1m")
	if code != 0 || !strings.Contains(stdout, "jaeger-query") || !strings.Contains(stdout, "incident-runbooks") || strings.Contains(stdout, "grafana") {
		t.Errorf("two namespaces: exit code %d, %s\n%s", code, stderr, stdout)
	}

	// A right that is missing is said at once, and not after the timeout.
	stranger := filepath.Join(t.TempDir(), "stranger")
	must(cp.WriteKubeconfigAs(stranger, "stranger"))
	code, stdout, stderr = runCommand(t, "generate", "--kubeconfig", stranger, "--timeout", "1h")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "services") || !strings.Contains(stderr, "the cluster can't be read") {
		t.Errorf("without the right: exit code %d, %q\n%s", code, stdout, stderr)
	}
}

// applyExample creates the example cluster's namespaces and Services.
func applyExample(ctx context.Context, t *testing.T, admin kubernetes.Interface) {
	t.Helper()
	files, err := filepath.Glob("examples/cluster/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
			var kind metav1.TypeMeta
			if err := yaml.Unmarshal(doc, &kind); err != nil {
				t.Fatal(err)
			}
			switch kind.Kind {
			case "Namespace":
				ns := &corev1.Namespace{}
				if err := yaml.UnmarshalStrict(doc, ns); err != nil {
					t.Fatal(err)
				}
				_, err = admin.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
			case "Service":
				svc := &corev1.Service{}
				if err := yaml.UnmarshalStrict(doc, svc); err != nil {
					t.Fatal(err)
				}
				_, err = admin.CoreV1().Services(svc.Namespace).Create(ctx, svc, metav1.CreateOptions{})
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}
