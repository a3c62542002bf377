package workloads

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// A resource is one of the resources that are watched.
type resource struct {
	kind, name string // such as "Deployment" and "deployments"
	example    runtime.Object
	// list reads one page, and returns it without its items, which nobody needs, and the
	// workloads of these.
	list  func(context.Context, kubernetes.Interface, string, metav1.ListOptions) (runtime.Object, []*service.Workload, error)
	watch func(context.Context, kubernetes.Interface, string, metav1.ListOptions) (watch.Interface, error)
	// template returns the metadata of an object and the template of its pods.
	template func(object any) (*metav1.ObjectMeta, *corev1.PodTemplateSpec)
}

var resources = []resource{
	{
		kind: "Deployment", name: "deployments", example: &appsv1.Deployment{},
		list: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (runtime.Object, []*service.Workload, error) {
			page, err := c.AppsV1().Deployments(ns).List(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			found := make([]*service.Workload, 0, len(page.Items))
			for i := range page.Items {
				found = add(found, "Deployment", &page.Items[i].ObjectMeta, &page.Items[i].Spec.Template)
			}
			page.Items = nil
			return page, found, nil
		},
		watch: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (watch.Interface, error) {
			return c.AppsV1().Deployments(ns).Watch(ctx, o)
		},
		template: func(object any) (*metav1.ObjectMeta, *corev1.PodTemplateSpec) {
			d := object.(*appsv1.Deployment)
			return &d.ObjectMeta, &d.Spec.Template
		},
	},
	{
		kind: "StatefulSet", name: "statefulsets", example: &appsv1.StatefulSet{},
		list: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (runtime.Object, []*service.Workload, error) {
			page, err := c.AppsV1().StatefulSets(ns).List(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			found := make([]*service.Workload, 0, len(page.Items))
			for i := range page.Items {
				found = add(found, "StatefulSet", &page.Items[i].ObjectMeta, &page.Items[i].Spec.Template)
			}
			page.Items = nil
			return page, found, nil
		},
		watch: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (watch.Interface, error) {
			return c.AppsV1().StatefulSets(ns).Watch(ctx, o)
		},
		template: func(object any) (*metav1.ObjectMeta, *corev1.PodTemplateSpec) {
			s := object.(*appsv1.StatefulSet)
			return &s.ObjectMeta, &s.Spec.Template
		},
	},
	{
		kind: "DaemonSet", name: "daemonsets", example: &appsv1.DaemonSet{},
		list: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (runtime.Object, []*service.Workload, error) {
			page, err := c.AppsV1().DaemonSets(ns).List(ctx, o)
			if err != nil {
				return nil, nil, err
			}
			found := make([]*service.Workload, 0, len(page.Items))
			for i := range page.Items {
				found = add(found, "DaemonSet", &page.Items[i].ObjectMeta, &page.Items[i].Spec.Template)
			}
			page.Items = nil
			return page, found, nil
		},
		watch: func(ctx context.Context, c kubernetes.Interface, ns string, o metav1.ListOptions) (watch.Interface, error) {
			return c.AppsV1().DaemonSets(ns).Watch(ctx, o)
		},
		template: func(object any) (*metav1.ObjectMeta, *corev1.PodTemplateSpec) {
			d := object.(*appsv1.DaemonSet)
			return &d.ObjectMeta, &d.Spec.Template
		},
	},
}

// workload returns the workload of an object with its names only, and whole; kept is nil if
// no Service can select its pods.
func (r resource) workload(object any) (names, kept *service.Workload) {
	meta, template := r.template(object)
	w := of(r.kind, meta, template)
	return &service.Workload{Kind: w.Kind, Key: w.Key}, cluster.Workload(w)
}

func add(all []*service.Workload, kind string, meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec) []*service.Workload {
	if w := cluster.Workload(of(kind, meta, template)); w != nil {
		all = append(all, w)
	}
	return all
}

func of(kind string, meta *metav1.ObjectMeta, template *corev1.PodTemplateSpec) service.Workload {
	w := service.Workload{Kind: kind, Key: service.Key{Namespace: meta.Namespace, Name: meta.Name}, Labels: template.Labels}
	for _, c := range template.Spec.Containers {
		to := service.Container{Image: c.Image, Prefix: cluster.PathPrefix(c.Command, c.Args, func(name string) string {
			for _, e := range c.Env {
				if e.Name == name {
					return e.Value
				}
			}
			return ""
		})}
		for _, p := range c.Ports {
			if p.Protocol == "" || p.Protocol == corev1.ProtocolTCP {
				to.Ports = append(to.Ports, service.ContainerPort{Name: p.Name, Number: p.ContainerPort})
			}
		}
		w.Containers = append(w.Containers, to)
	}
	return w
}
