package workloads

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
)

const many = 100_000

// cluster returns Services and as many workloads as Helm charts make them: 500 of each in a
// namespace, or all in one.
func cluster(perNamespace int) (services []*corev1.Service, all []*service.Workload) {
	for i := range many {
		ns, name := fmt.Sprint("team-", i/perNamespace), fmt.Sprint("release-", i)
		selector := map[string]string{"app.kubernetes.io/name": fmt.Sprint("chart-", i%40), "app.kubernetes.io/instance": name}
		labels := map[string]string{"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/version": "1.2.3", "helm.sh/chart": fmt.Sprintf("chart-%d-4.5.6", i%40)}
		for k, v := range selector {
			labels[k] = v
		}
		services = append(services, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels, UID: "01234567-89ab-cdef-0123-456789abcdef", ResourceVersion: fmt.Sprint(i)},
			Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}}},
		})
		all = append(all, &service.Workload{Kind: "Deployment", Key: service.Key{Namespace: ns, Name: name}, Labels: labels, Containers: []service.Container{
			{Image: fmt.Sprint("registry.example.com/chart-", i%40, ":1.2.3"), Ports: []service.ContainerPort{{Name: "http", Number: 8080}, {Name: "metrics", Number: 9090}}},
			{Image: "docker.io/istio/proxyv2:1.26"},
		}})
	}
	return services, all
}

// BenchmarkScale measures 100,000 Services with a workload each: to remember all, the memory
// for that, and the time from a change of a workload until its Service was passed on.
func BenchmarkScale(b *testing.B) {
	for _, perNamespace := range []int{500, many} {
		services, all := cluster(perNamespace)
		heap := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc) / 1e6
		}
		var f *Follower
		b.Run(fmt.Sprintf("read, %d in a namespace", perNamespace), func(b *testing.B) {
			before := heap()
			for b.Loop() {
				x := &Index{}
				f = x.Follow(silent{x})
				f.ReplaceWorkloads("Deployment", "", all)
				f.Replace(services)
			}
			b.ReportMetric(heap()-before, "MB")
		})
		b.Run(fmt.Sprintf("change, %d in a namespace", perNamespace), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w := *all[i*7919%many]
				w.Containers = []service.Container{{Image: fmt.Sprint("image:", i)}}
				f.SetWorkload(&w)
				i++
			}
		})
		b.Run(fmt.Sprintf("list again, %d in a namespace", perNamespace), func(b *testing.B) {
			for b.Loop() {
				f.ReplaceWorkloads("Deployment", "", all)
			}
		})
	}
}

// silent looks at the workloads of each Service, as the catalogue does, and keeps nothing.
type silent struct{ x *Index }

func (s silent) Upsert(svc *corev1.Service) { s.x.Selected(svc.Namespace, svc.Spec.Selector) }
func (s silent) Replace(all []*corev1.Service) {
	for _, svc := range all {
		s.Upsert(svc)
	}
}
func (silent) Delete(string, string)            {}
func (silent) Begin(string) service.Replacement { return nil }
