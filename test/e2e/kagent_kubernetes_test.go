package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// An API server that knows kagent's objects accepts those that are generated, strictly and
// without storing them, and refuses one with a mistake.
func TestKagentAcceptsItsObjects(t *testing.T) {
	cp := sharedPlane.get(t)
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	data, err := os.ReadFile("testdata/remotemcpservers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, definition); err != nil {
		t.Fatal(err)
	}
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := definitions.Create(t.Context(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	objects := client.Resource(schema.GroupVersionResource{Group: "kagent.dev", Version: "v1alpha2", Resource: "remotemcpservers"}).Namespace("default")
	testenv.Eventually(t, time.Minute, "the objects can be listed", func() bool {
		_, err := objects.List(t.Context(), metav1.ListOptions{})
		return err == nil
	})

	tools := writeFile(t, "tools.yaml", `apiVersion: v1
kind: Service
metadata: {name: grafana-tools, namespace: ai}
spec: {selector: {app: x}, ports: [{port: 8080, appProtocol: mcp}]}
---
apiVersion: v1
kind: Service
metadata:
  name: old-tools
  namespace: ai
  labels: {kagent.dev/mcp-service: "true"}
  annotations:
    kagent.dev/mcp-service-path: /sse
    kubernaut.io/toolset-description: "\"quotes\": {{ braces }} # and --- more"
spec: {selector: {app: old}, ports: [{port: 8080}]}
`)
	overrides := writeFile(t, "overrides.yaml", `toolsets:
- {name: grafana-tools, namespace: ai, connection: {headers: {X-Org: "1", X-Key: {env: ORG_KEY}}, bearerTokenEnv: TOOLS_TOKEN}}
`)
	code, stdout, stderr := runCommand(t, "generate", "--manifests", filepath.Dir(tools), "--overrides", overrides, "--format", "kagent", "--own-url", "https://toolset.example.com")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	n := 0
	for doc := range bytes.SplitSeq([]byte(stdout), []byte("\n---\n")) {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &object.Object); err != nil || len(object.Object) == 0 {
			continue
		}
		n++
		dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
		if _, err := objects.Create(t.Context(), object, dryRun); err != nil {
			t.Errorf("%v\n%s", err, doc)
		}
		_ = unstructured.SetNestedField(object.Object, "http", "spec", "protocol")
		if _, err := objects.Create(t.Context(), object, dryRun); err == nil {
			t.Error("the definition refuses nothing")
		}
	}
	if n != 3 {
		t.Errorf("%d objects:\n%s", n, stdout)
	}
}
