package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestStripShrinks(t *testing.T) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"}}
	svc.UID = types.UID("u")
	svc.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}}
	svc.Annotations = map[string]string{"a": "b"}
	got := Strip(svc)
	if got.ManagedFields != nil || got.Annotations != nil || got.Status.LoadBalancer.Ingress != nil || got.UID != "u" || got.Name != "s" {
		t.Errorf("%+v", got)
	}
}
