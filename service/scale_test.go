package service

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clusterOf returns n Services as large clusters have them, all of them back
// ends, in many namespaces.
func clusterOf(n int) []*corev1.Service {
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

// BenchmarkChange is how long it takes from a change of one Service to the
// snapshot that shows it.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := NewCatalogue(testIdentify, nil)
			all := clusterOf(n)
			c.Replace(all)
			c.Build()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				svc := all[(i*7919)%n].DeepCopy()
				svc.Labels["changed"] = fmt.Sprint(i)
				c.Upsert(svc)
				c.Build()
				i++
			}
		})
	}
}

// BenchmarkStart is how long it takes from the first list of the cluster's
// Services to the first snapshot.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := clusterOf(n)
			b.ReportAllocs()
			for b.Loop() {
				c := NewCatalogue(testIdentify, nil)
				c.Replace(all)
				c.Build()
			}
		})
	}
}
