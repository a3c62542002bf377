// Package servicetest has what the tests of the packages below service share: Services, a
// simple way to identify them, and the answers as a client reads them.
package servicetest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// Service returns a Service that [Identify] takes for a back end of type kind; for none if
// kind is empty.
func Service(namespace, name, kind string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"kind": kind}}}
}

// Identify is a service.Identify. The label "kind" is the type. The annotations "name",
// "off", "primary" and "path" (of the health check) set what their names say; "mere" says
// nothing. With any annotation, but not with "mere", the back end is Declared.
func Identify(svc *corev1.Service) *service.Backend {
	kind := svc.Labels["kind"]
	if kind == "" {
		return nil
	}
	name := svc.Name
	if n := svc.Annotations["name"]; n != "" {
		name = n
	}
	var pods *service.Pods
	if len(svc.Spec.Selector) > 0 {
		port := svc.Spec.Ports[0]
		pods = &service.Pods{Selector: svc.Spec.Selector, Port: port.TargetPort.IntVal, PortName: port.TargetPort.StrVal, ServicePort: port.Port, Headless: svc.Spec.ClusterIP == "None"}
	}
	return &service.Backend{
		Key: service.Key{Namespace: svc.Namespace, Name: svc.Name}, Name: name, Type: kind, Enabled: svc.Annotations["off"] == "",
		Pods: pods, Declared: len(svc.Annotations) > 0 && svc.Annotations["mere"] == "", Created: svc.CreationTimestamp.Time,
		Standing: service.Standing{Role: service.RoleServer, Headless: svc.Spec.ClusterIP == "None"},
		Primary:  svc.Annotations["primary"] != "",
		Endpoint: "http://" + svc.Name + "." + svc.Namespace + ".svc:80", Description: "a <" + kind + "> & more", Labels: svc.Labels,
		Probe: service.Probe{Kind: service.ProbeHTTP, URL: "http://" + svc.Name + svc.Annotations["path"]},
	}
}

// Cluster returns n Services as in a large cluster: all of them back ends, in 200
// namespaces.
func Cluster(n int) []*corev1.Service {
	kinds := []string{"prometheus", "grafana", "loki", "tempo", "jaeger", "elasticsearch", "alertmanager", "custom"}
	all := make([]*corev1.Service, n)
	for i := range all {
		kind := kinds[i%len(kinds)]
		name := fmt.Sprintf("%s-%d", kind, i)
		all[i] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%03d", i%200), Name: name,
			Labels: map[string]string{
				"kind": kind, "app.kubernetes.io/name": kind, "app.kubernetes.io/instance": name, "app.kubernetes.io/managed-by": "Helm",
				"app.kubernetes.io/version": fmt.Sprintf("v2.%d.%d", i%50, i%7), "helm.sh/chart": fmt.Sprintf("kube-%s-45.%d.1", kind, i%30),
			},
			Annotations: map[string]string{"kubernaut.io/toolset-description": fmt.Sprintf("Metrics of team %d's part of the shop", i%200)},
		}}
	}
	return all
}

// A Toolset is a toolset as a client sees it.
type Toolset struct {
	Name, Namespace, Type string
	Enabled, Healthy      bool
	HealthReason          string
	LastHealthCheck       string
	Aliases               []string
	Identity              struct{ Verdict service.Verdict }
}

// A List is the answer with the toolsets as a client sees it.
type List struct {
	Toolsets []Toolset
	Total    int
	Continue string
}

// Decode decodes JSON.
func Decode[T any](t testing.TB, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, b)
	}
	return v
}

// Gunzip decompresses b.
func Gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("gzip: %v", err)
	}
	return plain
}
