package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

func parse(t *testing.T, text string) []manifest.Object {
	t.Helper()
	objects, err := manifest.Parse([]byte(text), "live.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func names(objects []manifest.Object) string {
	var all []string
	for _, o := range objects {
		all = append(all, o.String())
	}
	return strings.Join(all, ", ")
}

// What kubectl get -o yaml prints can be applied to another cluster.
func TestClean(t *testing.T) {
	objects, notes := manifest.Clean(parse(t, `
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    annotations: {deployment.kubernetes.io/revision: "3", mine: "1"}
    creationTimestamp: "2026-01-01T00:00:00Z"
    finalizers: [example.com/never]
    generation: 4
    managedFields: [{manager: kubectl}]
    name: web
    namespace: shop
    ownerReferences: [{apiVersion: example.com/v1, kind: App, name: web, uid: u}]
    resourceVersion: "1234"
    uid: 0a
  spec: {replicas: 2, template: {metadata: {creationTimestamp: null, labels: {app: web}}}}
  status: {replicas: 2}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: shop, uid: 0b}
  spec:
    clusterIP: 10.96.3.4
    clusterIPs: [10.96.3.4]
    ipFamilies: [IPv4]
    ipFamilyPolicy: SingleStack
    ports: [{nodePort: 30123, port: 80}]
    type: NodePort
- {apiVersion: v1, kind: Service, metadata: {name: mine}, spec: {clusterIP: None, ports: [{nodePort: 30124, port: 80}]}}
- {apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: 0a, controller: true}]}}
- {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-x}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt}}
- {apiVersion: v1, kind: Secret, metadata: {name: t}, type: kubernetes.io/service-account-token}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: s, uid: 0c}, secrets: [{name: t}]}
`))
	if got := names(objects); got != "Deployment shop/web, Service shop/web, Service mine, ServiceAccount s" {
		t.Error(got)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "ReplicaSet shop/web-1, EndpointSlice web-x, ConfigMap kube-root-ca.crt, Secret t") {
		t.Errorf("%q", notes)
	}
	for i, want := range []string{
		`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"mine":"1"},"name":"web","namespace":"shop"},"spec":{"replicas":2,"template":{"metadata":{"labels":{"app":"web"}}}}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{"ports":[{"port":80}],"type":"NodePort"}}`,
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"mine"},"spec":{"clusterIP":"None","ports":[{"nodePort":30124,"port":80}]}}`,
		`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"s"}}`,
	} {
		if got, err := json.Marshal(objects[i].Object); err != nil || string(got) != want {
			t.Errorf("%s, %v, want\n%s", got, err, want)
		}
	}
}

// Everything that is left out is named, with the reason.
func TestSelect(t *testing.T) {
	const text = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 4, scaleTargetRef: {kind: Deployment, name: web}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web}
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: old}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, names: {kind: Widget}}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
`
	objects, notes, err := manifest.Select(parse(t, text), true)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(objects); got != "Deployment web, Ingress web, PodDisruptionBudget web, CustomResourceDefinition widgets.example.com, Widget w" {
		t.Error(got)
	}
	if spec := objects[0].Object["spec"].(map[string]any); spec["replicas"] != int64(4) {
		t.Errorf("the Deployment has %v replicas, not those that its autoscaler would give it", spec["replicas"])
	}
	all := strings.Join(notes, "\n")
	for _, want := range []string{
		"HorizontalPodAutoscaler web was left out: the number", "Ingress web was applied: the traffic goes",
		"NetworkPolicy web was left out", "no such kinds: ServiceMonitor web.", "no longer serves their apiVersion: PodDisruptionBudget old.",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	// A cluster that exists may know more kinds.
	if objects, _, err = manifest.Select(parse(t, text), false); err != nil || !strings.Contains(names(objects), "ServiceMonitor web") {
		t.Errorf("%s, %v", names(objects), err)
	}
	if _, _, err := manifest.Select(parse(t, "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: web}\n"), true); err == nil || !strings.Contains(err.Error(), "write apps/v1") {
		t.Errorf("%v", err)
	}
}

func TestReadStdin(t *testing.T) {
	objects, err := manifest.ReadFrom(strings.NewReader("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"), "-")
	if err != nil || names(objects) != "Pod p" {
		t.Errorf("%s, %v", names(objects), err)
	}
	for text, want := range map[string]string{"": "no manifests", "a: [": "the standard input, document 1", strings.Repeat(" ", 16<<20+1): "larger than"} {
		if _, err := manifest.ReadFrom(strings.NewReader(text), "-"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: %v, not %q", text, err, want)
		}
	}
	chart := t.TempDir()
	write(t, chart, "Chart.yaml", "name: x\n")
	if _, err := manifest.Read(chart); err == nil || !strings.Contains(err.Error(), "helm template NAME "+chart) {
		t.Errorf("%v", err)
	}
}
