// Package population makes the Services of a large cluster: a tenth of them
// observability back ends, which the service recognises, the others what such
// a cluster has besides.
//
// All Services are headless: the API server then has no cluster IP to allocate,
// of which its default range has fewer than 100,000. Nothing else about them
// differs for who lists or watches them.
package population

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// PerNamespace is how many Services a namespace holds.
	PerNamespace = 500
	// SmallNamespace holds SmallCluster Services, one tenth toolsets: what is
	// measured against all of them.
	SmallNamespace = "scale-small"
	// SmallCluster is the size of the cluster that lookups are compared with.
	SmallCluster = 100
	// share is one toolset among so many Services.
	share = 10
	// Label marks every Service and namespace made here.
	Label = "dynamic-toolset-bench"
)

// A kind is a sort of back end as its Helm chart installs it.
type kind struct {
	name, chart, portName string
	port                  int32
}

var kinds = []kind{
	{"prometheus", "kube-prometheus-stack-62.3.0", "http-web", 9090},
	{"grafana", "grafana-8.5.0", "grafana", 3000},
	{"jaeger", "jaeger-3.3.0", "http-query", 16686},
	{"elasticsearch", "elasticsearch-8.5.1", "elasticsearch", 9200},
	{"loki", "loki-6.10.0", "http-metrics", 3100},
	{"tempo", "tempo-1.10.3", "tempo", 3200},
	{"alertmanager", "alertmanager-1.12.0", "http-web", 9093},
}

// others are names of Services that no back end has.
var others = []string{"checkout", "orders", "payments", "inventory", "frontend", "session-cache", "mailer", "pricing", "shipping"}

// A Plan is which Services there are. It depends on their number alone.
type Plan struct {
	// Services is the number of all, at least SmallCluster.
	Services int
	// HealthEndpoint, unless nil, gives the toolset with this number a URL to
	// check its health at.
	HealthEndpoint func(toolset int) string
}

// Namespaces returns the names of all namespaces.
func (p *Plan) Namespaces() []string {
	names := []string{SmallNamespace}
	for i := 0; i*PerNamespace < p.Services-SmallCluster; i++ {
		names = append(names, namespace(i))
	}
	return names
}

func namespace(i int) string { return fmt.Sprintf("scale-%04d", i) }

// Toolsets returns how many of the Services are toolsets.
func (p *Plan) Toolsets() int { return (p.Services + share - 1) / share }

// Toolset returns the Service of the toolset number i, from 0 on. The first
// SmallCluster/10 are in SmallNamespace.
func (p *Plan) Toolset(i int) *corev1.Service { return p.Service(i * share) }

// Service returns the Service number i, from 0 on; every tenth is a toolset.
// Names repeat from namespace to namespace, as they do in real clusters.
func (p *Plan) Service(i int) *corev1.Service {
	ns, n := SmallNamespace, i
	if i >= SmallCluster {
		i -= SmallCluster
		ns, n = namespace(i/PerNamespace), i%PerNamespace
		i += SmallCluster
	}
	if i%share != 0 {
		name := fmt.Sprintf("%s-%03d", others[n%len(others)], n)
		return build(ns, name, name, "webapp-2.1.0", corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)})
	}
	svc := BackEnd(ns, n/share)
	if p.HealthEndpoint != nil {
		svc.Annotations["kubernaut.io/health-endpoint"] = p.HealthEndpoint(i / share)
	}
	return svc
}

// BackEnd returns a Service that is recognised as a toolset; n is its number
// in its namespace.
func BackEnd(ns string, n int) *corev1.Service {
	k := kinds[n%len(kinds)]
	svc := build(ns, k.name+"-"+strconv.Itoa(n), k.name, k.chart, corev1.ServicePort{Name: k.portName, Port: k.port, TargetPort: intstr.FromString(k.portName)})
	return svc
}

// build returns a Service with the labels and annotations that a Helm chart
// gives it.
func build(ns, name, app, chart string, port corev1.ServicePort) *corev1.Service {
	port.Protocol = corev1.ProtocolTCP
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns, Name: name,
			Labels: map[string]string{
				"app.kubernetes.io/name":       app,
				"app.kubernetes.io/instance":   name,
				"app.kubernetes.io/managed-by": "Helm",
				"app.kubernetes.io/version":    "1.4.2",
				"helm.sh/chart":                chart,
				Label:                          "member",
			},
			Annotations: map[string]string{
				"meta.helm.sh/release-name":      name,
				"meta.helm.sh/release-namespace": ns,
				"prometheus.io/scrape":           "true",
				"prometheus.io/path":             "/metrics",
			},
		},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Ports:     []corev1.ServicePort{port},
			Selector:  map[string]string{"app.kubernetes.io/name": app, "app.kubernetes.io/instance": name},
		},
	}
}
