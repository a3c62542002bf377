package service

import (
	"fmt"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
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
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := NewCatalogue(testIdentify, nil)
			all := sharedPods(clusterOf(n))
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
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := sharedPods(clusterOf(n))
			b.ReportAllocs()
			for b.Loop() {
				c := NewCatalogue(testIdentify, nil)
				c.Replace(all)
				c.Build()
			}
		})
	}
}

// sharedPods makes each tenth of all a headless twin of the one before, and gives the
// others pods of their own, as charts do.
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

// BenchmarkFold is what finding aliases costs in one namespace and type with many
// Services: as charts have them, and as somebody may who means no good.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		for name, selector := range map[string]func(i int) map[string]string{
			"instances": func(i int) map[string]string { return map[string]string{"app": "x", "instance": strconv.Itoa(i)} },
			"the same":  func(i int) map[string]string { return map[string]string{"app": "x"} },
			"covered": func(i int) map[string]string {
				if i == 0 {
					return map[string]string{"app": "x"}
				}
				return map[string]string{"app": "x", "instance": strconv.Itoa(i)}
			},
			"subsets": func(i int) map[string]string {
				s := map[string]string{}
				for j := range 8 {
					if i>>j&1 != 0 {
						s["k"+strconv.Itoa(j)] = "v"
					}
				}
				s["n"] = strconv.Itoa(i >> 8)
				return s
			},
			"pods": func(i int) map[string]string {
				return map[string]string{"app": "x", "statefulset.kubernetes.io/pod-name": fmt.Sprintf("x-%d-0", i)}
			},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				members := make([]*member, n)
				for i := range members {
					p := &Pods{Selector: selector(i), Port: 9090, ServicePort: 9090}
					members[i] = &member{key: Key{"ns", strconv.Itoa(i)}, selector: selectorOf(p), state: state{backend: &Backend{Pods: p}}}
				}
				for b.Loop() {
					samePods(members)
				}
			})
		}
	}
}
