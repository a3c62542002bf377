package cluster

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Strip returns a Service with only those fields that the program uses. From an API
// server a Service takes several kilobytes, mostly managedFields. The result shares maps
// and slices with svc. It has only the annotations with AnnotationPrefix and those of other
// projects that rules read: others may contain secrets, or a copy of the whole object
// (kubectl's last-applied-configuration).
func Strip(svc *corev1.Service) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name:              svc.Name,
			Namespace:         svc.Namespace,
			UID:               svc.UID,
			ResourceVersion:   svc.ResourceVersion,
			CreationTimestamp: svc.CreationTimestamp,
			Labels:            svc.Labels,
			Annotations:       used(svc.Annotations),
		},
		Spec: corev1.ServiceSpec{
			Type:         svc.Spec.Type,
			ClusterIP:    svc.Spec.ClusterIP,
			ExternalName: svc.Spec.ExternalName,
			Ports:        svc.Spec.Ports,
			Selector:     svc.Spec.Selector,
		},
	}
}

// foreignAnnotations are those of other projects that rules read (package detect).
var foreignAnnotations = map[string]bool{
	// They make OpenShift issue a certificate for the Service: the port speaks TLS
	// (https://docs.openshift.com, "Securing service traffic using service serving
	// certificates").
	"service.beta.openshift.io/serving-cert-secret-name":  true,
	"service.alpha.openshift.io/serving-cert-secret-name": true,
	// They say where an MCP server answers, to kagent and to MCP gateways.
	"kagent.dev/mcp-service-path":     true,
	"kagent.dev/mcp-service-port":     true,
	"kagent.dev/mcp-service-protocol": true,
	"agentgateway.dev/mcp-path":       true,
	"kgateway.dev/mcp-path":           true,
}

// used returns those of the annotations that the program uses.
func used(annotations map[string]string) map[string]string {
	var kept map[string]string
	for k, v := range annotations {
		if strings.HasPrefix(k, AnnotationPrefix) || foreignAnnotations[k] {
			if kept == nil {
				kept = make(map[string]string, 4)
			}
			kept[k] = v
		}
	}
	return kept
}
