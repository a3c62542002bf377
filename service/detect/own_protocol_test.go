package detect_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
)

// What is declared and has a protocol of its own is found at its own port, not at that of
// the exporter beside it, and nobody is told to speak HTTP to it.
func TestDeclaredWithAProtocolOfItsOwn(t *testing.T) {
	port := func(name string, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(number)}
	}
	application := func(p corev1.ServicePort, protocol string) corev1.ServicePort {
		p.AppProtocol = &protocol
		return p
	}
	for what, tt := range map[string]struct {
		typ   string
		ports []corev1.ServicePort
		want  string
	}{
		"Bitnami's PostgreSQL":                {"postgresql", []corev1.ServicePort{port("http-metrics", 9187), port("tcp-postgresql", 5432)}, "tcp://:5432"},
		"no name":                             {"postgresql", []corev1.ServicePort{port("", 5432)}, "tcp://:5432"},
		"another number":                      {"mysql", []corev1.ServicePort{port("metrics", 9104), port("db", 13306)}, "tcp://:13306"},
		"a type that nobody knows":            {"ledger", []corev1.ServicePort{port("redis", 16379)}, "tcp://:16379"},
		"a registered port behind another":    {"ledger", []corev1.ServicePort{{Name: "main", Port: 6000, TargetPort: intstr.FromInt32(27017)}}, "tcp://:6000"},
		"by appProtocol":                      {"ledger", []corev1.ServicePort{application(port("main", 7000), "amqp")}, "tcp://:7000"},
		"a gateway to a database":             {"postgresql", []corev1.ServicePort{port("http", 3000)}, "http://:3000"},
		"a port that HTTP uses, called tcp":   {"ledger", []corev1.ServicePort{port("tcp", 8080)}, "http://:8080"},
		"ClickHouse, which speaks HTTP, too":  {"clickhouse", []corev1.ServicePort{port("tcp", 9000), port("http", 8123)}, "http://:8123"},
		"HTTP at any port":                    {"ledger", []corev1.ServicePort{port("api", 7777), port("redis", 6379)}, "http://:7777"},
		"HTTP, whatever the number says":      {"ledger", []corev1.ServicePort{application(port("main", 6379), "http")}, "http://:6379"},
		"gRPC is no protocol of its own here": {"ledger", []corev1.ServicePort{port("grpc-api", 7000)}, "http://:7000"},
	} {
		t.Run(what, func(t *testing.T) {
			svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders-db",
				Annotations: map[string]string{detect.AnnotationToolset: "true", detect.AnnotationType: tt.typ}}}
			svc.Spec.Ports = tt.ports
			b := detect.Default().Identify(svc, detect.Options{}).Backend
			if b == nil {
				t.Fatal("not found")
			}
			if got := strings.Replace(b.Endpoint, "orders-db.shop.svc.cluster.local", "", 1); got != tt.want || b.Type != tt.typ || b.Probe.Kind != service.ProbeTCP {
				t.Errorf("%s at %s, checked by %s; want %s", b.Type, got, b.Probe.Kind, tt.want)
			}
		})
	}
}
