package kubernetes

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// Bounds on what Find reads to suggest other names.
const (
	maxOthers    = 500 // in the same namespace
	maxNamesakes = 20  // in other namespaces
)

// Find implements cluster.Finder. It asks the API server for the latest state. It only
// lists, since the right to get is not needed for anything else. ctx must have a deadline.
func (k *Source) Find(ctx context.Context, key service.Key) (*corev1.Service, []service.Key, error) {
	all := slices.Equal(k.opts.Namespaces, []string{metav1.NamespaceAll})
	if !all && !slices.Contains(k.opts.Namespaces, key.Namespace) {
		return nil, nil, &cluster.NotWatched{Namespace: key.Namespace, Watched: slices.Clone(k.opts.Namespaces)}
	}
	byName := fields.OneTermEqualSelector(metav1.ObjectNameField, key.Name).String()
	found, err := k.listOnce(ctx, key.Namespace, metav1.ListOptions{FieldSelector: byName, Limit: 1})
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 0 {
		svc := cluster.Strip(&found[0])
		return &svc, nil, nil
	}
	// That it does not exist is known. What else there is serves as a hint only.
	var others []service.Key
	add := func(list []corev1.Service, err error) error {
		for i := range list {
			others = append(others, service.Key{Namespace: list[i].Namespace, Name: list[i].Name})
		}
		return err
	}
	if err := add(k.listOnce(ctx, key.Namespace, metav1.ListOptions{Limit: maxOthers})); err != nil {
		return nil, nil, err
	}
	if all {
		err = add(k.listOnce(ctx, metav1.NamespaceAll, metav1.ListOptions{FieldSelector: byName, Limit: maxNamesakes}))
		return nil, others, err
	}
	for _, ns := range k.opts.Namespaces[:min(len(k.opts.Namespaces), maxNamesakes)] {
		if ns == key.Namespace {
			continue
		}
		if err := add(k.listOnce(ctx, ns, metav1.ListOptions{FieldSelector: byName, Limit: 1})); err != nil {
			return nil, others, err
		}
	}
	return nil, others, nil
}

// listOnce makes one call.
func (k *Source) listOnce(ctx context.Context, namespace string, o metav1.ListOptions) ([]corev1.Service, error) {
	list, err := k.client.CoreV1().Services(namespace).List(ctx, o)
	if err != nil {
		return nil, cluster.Call{Verbs: cluster.VerbList, Resource: "services", Namespace: namespace, Host: k.host}.Explain(err)
	}
	return list.Items, nil
}
