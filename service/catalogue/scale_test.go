package catalogue

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// BenchmarkChange is the time from a change of one Service to the snapshot that shows it.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := New(servicetest.Identify, nil)
			all := sharedPods(servicetest.Cluster(n))
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

// BenchmarkStart is the time from the first list of Services to the first snapshot.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := sharedPods(servicetest.Cluster(n))
			b.ReportAllocs()
			for b.Loop() {
				c := New(servicetest.Identify, nil)
				c.Replace(all)
				c.Build()
			}
		})
	}
}

// sharedPods makes every tenth Service a headless one for the pods of the one before, and
// gives the others pods of their own, as charts do.
func sharedPods(all []*corev1.Service) []*corev1.Service {
	for i, svc := range all {
		of := svc
		if i%10 == 9 && i >= 200 {
			of, svc.Spec.ClusterIP = all[i-200], "None"
			svc.Labels["kind"], svc.Namespace = of.Labels["kind"], of.Namespace
		}
		svc.Annotations = nil
		svc.Spec.Selector = map[string]string{"app.kubernetes.io/name": of.Labels["kind"], "app.kubernetes.io/instance": of.Name}
		svc.Spec.Ports = []corev1.ServicePort{{Port: 9090, TargetPort: intstr.FromInt32(9090)}}
	}
	return all
}
