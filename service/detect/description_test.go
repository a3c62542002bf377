package detect

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A description is one line of characters that all formats can hold. A ConfigMap with
// U+FFFE could not even be written as YAML.
func TestDescriptionsAreText(t *testing.T) {
	for text, fine := range map[string]bool{
		"Métriques de l'équipe 日本 \U0001f600": true, "\ufffd": true,
		"a\ufffeb": false, "a\uffffb": false, "\ufdd0": false, "\U0001fffe": false, "\U0010ffff": false,
		"a\nb": false, "\x1b[31m": false, "\u0085": false, "\u2028": false, "\u202e": false, "\xff": false,
	} {
		svc := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "prometheus", Annotations: map[string]string{AnnotationDescription: text}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 9090}}},
		}
		res := Default().Identify(svc, Options{})
		if res.Backend == nil {
			t.Fatalf("%q: not recognised: %+v", text, res)
		}
		if got := res.Backend.Description == text && len(res.Problems) == 0; got != fine {
			t.Errorf("%q is taken: %v, want %v (described as %q)", text, got, fine, res.Backend.Description)
		}
	}
}
