package kind

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// awaitReady waits until each node is ready and the cluster's DNS answers. Before that,
// pods would be told that names do not exist.
func awaitReady(ctx context.Context, client kubernetes.Interface) error {
	missing := "the nodes"
	for {
		what, err := notReady(ctx, client)
		if err == nil && what == "" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the kind cluster was created, but did not become ready: %s (%w)", missing, ctx.Err())
		}
		if missing = what; err != nil {
			missing = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// notReady says what is not ready; empty if everything is.
func notReady(ctx context.Context, client kubernetes.Interface) (string, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		if c := condition(n.Status.Conditions); c == nil || c.Status != corev1.ConditionTrue {
			why := ""
			if c != nil {
				why = ": " + c.Message
			}
			return "the node " + n.Name + " is not ready" + why, nil
		}
	}
	dns, err := client.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil // the user's configuration may have another DNS, or none
	}
	if err != nil {
		return "", err
	}
	for _, c := range dns.Status.Conditions {
		if c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionTrue {
			return "", nil
		}
	}
	return "DNS (the Deployment coredns) is not available", nil
}

func condition(all []corev1.NodeCondition) *corev1.NodeCondition {
	for i := range all {
		if all[i].Type == corev1.NodeReady {
			return &all[i]
		}
	}
	return nil
}
