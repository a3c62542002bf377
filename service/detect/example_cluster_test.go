package detect

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The comments in the example cluster say what is a back end and what is not.
func TestExampleCluster(t *testing.T) {
	files, err := filepath.Glob("../../examples/cluster/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	var got []string
	services := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(data, []byte("\n---\n")) {
			svc := &corev1.Service{}
			if !bytes.Contains(doc, []byte("kind: Service")) {
				continue
			}
			if err := yaml.UnmarshalStrict(doc, svc); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			services++
			res := Default().Identify(svc, Options{})
			if len(res.Problems) > 0 {
				t.Errorf("%s/%s: %+v", svc.Namespace, svc.Name, res.Problems)
			}
			if b := res.Backend; b != nil {
				got = append(got, b.Type+" "+b.Endpoint+" "+b.Probe.URL[strings.LastIndexByte(b.Probe.URL, ':')+1:])
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"alertmanager http://kps-kube-prometheus-stack-alertmanager.monitoring.svc.cluster.local:9093 9093/-/healthy",
		"custom http://127.0.0.1:8080 8080/health/live",
		"custom http://incident-runbooks.shop.svc.cluster.local:8080 8080/healthz",
		"elasticsearch https://audit-es-http.logging.svc.cluster.local:9200 9200/_cluster/health",
		"grafana http://kps-grafana.monitoring.svc.cluster.local:3000 3000/api/health",
		"jaeger http://jaeger-query.tracing.svc.cluster.local:16686 16686/",
		"kafka tcp://events-kafka-bootstrap.messaging.svc.cluster.local:9092 ",
		"kibana https://audit-kb-http.logging.svc.cluster.local:5601 5601/api/status",
		"loki http://logs.shop.svc.cluster.local:3100 3100/ready",
		"loki http://loki-gateway.logging.svc.cluster.local:3100 3100/",
		"otel-collector http://otel-collector.tracing.svc.cluster.local:4318 13133/",
		"prometheus http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090 9090/-/healthy",
		"prometheus http://prometheus-server.shop.svc.cluster.local:9090 9090/-/healthy",
		"rabbitmq http://orders-queue.messaging.svc.cluster.local:15672 15672/",
		"tempo http://tempo.tracing.svc.cluster.local:3200 3200/ready",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if services < 20 {
		t.Errorf("the example has %d Services; it should show more", services)
	}
}
