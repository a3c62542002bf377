package e2e

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
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// A real API server with the example cluster gives the same result as the manifests. The
// right to list Services is enough.
func TestGenerateFromKubernetes(t *testing.T) {
	// This test is not parallel: the shared API server must contain nothing else, and
	// parallel tests begin after it.
	cp := sharedPlane.get(t)
	applyExample(t, cp)
	cp.bind(t, "reader", "", "services", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	kubeconfig := cp.kubeconfig(t, "reader")
	for format, want := range map[string]string{"kubernaut": golden(t, kubernaut.Key), "holmesgpt": golden(t, holmesgpt.Key)} {
		code, stdout, stderr := runCommand(t, "generate", "--kubeconfig", kubeconfig, "--format", format, "--timeout", "1m")
		if code != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: exit code %d, %s\n%s", format, code, stderr, stdout)
		}
	}
	code, stdout, stderr := runCommand(t, "generate", "--kubeconfig", kubeconfig, "--format=kubernaut", "--namespaces", "tracing,shop", "--timeout", "1m")
	if code != 0 || !strings.Contains(stdout, "jaeger-query") || !strings.Contains(stdout, "incident-runbooks") || strings.Contains(stdout, "grafana") {
		t.Errorf("two namespaces: exit code %d, %s\n%s", code, stderr, stdout)
	}

	// A missing right is reported at once, and not after the timeout.
	code, stdout, stderr = runCommand(t, "generate", "--kubeconfig", cp.kubeconfig(t, "stranger"), "--timeout", "1h")
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "services") || !strings.Contains(stderr, "the cluster can't be read") {
		t.Errorf("without the right: exit code %d, %q\n%s", code, stdout, stderr)
	}
}

// applyExample creates the namespaces and Services of the example cluster, and deletes
// the Services when the test ends.
func applyExample(t *testing.T, cp *plane) {
	t.Helper()
	files, err := filepath.Glob(example + "/*.yaml")
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
				_, err = cp.admin.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
			case "Service":
				svc := &corev1.Service{}
				if err := yaml.UnmarshalStrict(doc, svc); err != nil {
					t.Fatal(err)
				}
				_, err = cp.admin.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{})
				t.Cleanup(func() {
					if err := cp.admin.CoreV1().Services(svc.Namespace).Delete(context.Background(), svc.Name, metav1.DeleteOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}
