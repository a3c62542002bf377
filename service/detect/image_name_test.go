package detect

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// Names of images as they are in charts, operators' defaults and lists of mirrors.
func TestImages(t *testing.T) {
	const (
		nothing = "nothing"
		helper  = "helper"
		proxy   = "proxy"
		other   = "other"
	)
	for image, want := range map[string]string{
		// Registries, mirrors, tags, digests.
		"prom/prometheus":                                                    "prometheus",
		"prometheus":                                                         "prometheus",
		"docker.io/prom/prometheus:v3.5.0":                                   "prometheus",
		"quay.io/prometheus/prometheus:v3.5.0":                               "prometheus",
		"quay.io/prometheus/prometheus@sha256:" + digest:                     "prometheus",
		"quay.io/prometheus/prometheus:v3.5.0@sha256:" + digest:              "prometheus",
		"localhost:5000/prometheus":                                          "prometheus",
		"registry.example.com:5000/a/b/c/prom/prometheus:latest":             "prometheus",
		"bitnami/prometheus:3.5.0-debian-12-r0":                              "prometheus",
		"docker.io/bitnamilegacy/prometheus:3.5.0":                           "prometheus",
		"rancher/mirrored-prometheus-prometheus:v2.50.1":                     "prometheus",
		"prom/prometheus-linux-amd64:v3.5.0":                                 "prometheus",
		"registry.redhat.io/openshift4/ose-prometheus-rhel9:v4.1":            "prometheus",
		"quay.io/openshift/origin-prometheus:4.20":                           "prometheus",
		"cgr.dev/chainguard/prometheus:latest":                               "prometheus",
		"cgr.dev/chainguard-private/prometheus-fips:3.5":                     "prometheus",
		"mcr.microsoft.com/oss/prometheus/prometheus:v2.9":                   "prometheus",
		"gke.gcr.io/prometheus-engine/prometheus:v2.45.3-gmp.1":              "prometheus",
		"registry1.dso.mil/ironbank/opensource/prometheus/prometheus:v3.5.0": "prometheus",
		"grafana/grafana:12.1.0":                                             "grafana",
		"grafana/grafana-enterprise":                                         "grafana",
		"rancher/mirrored-grafana-grafana:11.5.5":                            "grafana",
		"rancher/appco-grafana:12":                                           "grafana",
		"jaegertracing/all-in-one:1.62.0":                                    "jaeger",
		"docker.io/jaegertracing/jaeger:2.5.0":                               "jaeger",
		"registry.redhat.io/rhosdt/jaeger-all-in-one-rhel8":                  "jaeger",
		"registry.redhat.io/rhosdt/tempo-query-rhel8:0.12":                   "jaeger",
		"docker.elastic.co/elasticsearch/elasticsearch:8.12.2":               "elasticsearch",
		"docker.elastic.co/elasticsearch/elasticsearch-wolfi:9.0":            "elasticsearch",
		"openshift-logging/elasticsearch6-rhel9":                             "elasticsearch",
		"opensearchproject/opensearch:2.11.1":                                "opensearch",
		"docker.elastic.co/kibana/kibana:8.12.2":                             "kibana",
		"openshift-logging/kibana6-rhel8:v5.8":                               "kibana",
		"registry.redhat.io/openshift4/ose-prometheus-alertmanager":          "alertmanager",
		"prom/alertmanager":                                                  "alertmanager",
		"grafana/loki:3.5.0":                                                 "loki",
		"registry.redhat.io/openshift-logging/logging-loki-rhel9":            "loki",
		"bitnami/grafana-tempo":                                              "tempo",
		"grafana/mimir:2.16.0":                                               "mimir",
		"ghcr.io/openzipkin/zipkin-slim:3.5":                                 "zipkin",
		"quay.io/thanos/thanos:v0.39.2":                                      "thanos-query",
		"victoriametrics/vmselect:v1.122.0-cluster":                          "victoriametrics",
		"victoriametrics/victoria-metrics":                                   "victoriametrics",
		"victoriametrics/victoria-logs:v1.25.0":                              "victorialogs",
		"rabbitmq:4.1-management-alpine":                                     "rabbitmq",
		"quay.io/strimzi/kafka:0.47.0-kafka-4.0.0":                           "kafka",
		"registry.redhat.io/amq-streams/kafka-37-rhel9:2.7":                  "kafka",
		"confluentinc/cp-kafka:7.9.0":                                        "kafka",
		"otel/opentelemetry-collector-contrib:0.130.0":                       "otel-collector",
		"public.ecr.aws/aws-observability/aws-otel-collector":                "otel-collector",
		"grafana/pyroscope":                                                  "pyroscope",
		"quay.io/kiali/kiali:v2.10":                                          "kiali",
		"registry.redhat.io/openshift-service-mesh/kiali-rhel9":              "kiali",
		"quay.io/argoproj/argocd:v3.0.6":                                     "argocd",
		"influxdb:3-core":                                                    "influxdb",
		"quay.io/influxdb/influxdb3-core":                                    "influxdb",
		"quickwit/quickwit:0.8.2":                                            "quickwit",
		// Look-alikes.
		"quay.io/prometheus-operator/prometheus-operator:v0.85.0":                 other,
		"rancher/mirrored-prometheus-operator-prometheus-operator:v0.80.1":        other,
		"quay.io/prometheus-operator/prometheus-config-reloader:v0.85.0":          helper,
		"rancher/mirrored-prometheus-operator-prometheus-config-reloader:v0.80.1": helper,
		"quay.io/prometheus/node-exporter":                                        other,
		"quay.io/prometheuscommunity/elasticsearch-exporter:v1.9.0":               other,
		"oliver006/redis_exporter":                                                other,
		"prom/pushgateway:v1.11.1":                                                other,
		"registry.k8s.io/kube-state-metrics/kube-state-metrics":                   other,
		"registry.k8s.io/prometheus-adapter/prometheus-adapter":                   other,
		"ghcr.io/grafana/grafana-operator:v5.19.0":                                other,
		"grafana/grafana-image-renderer":                                          other,
		"rancher/mirrored-grafana-grafana-image-renderer:v5.1.0":                  other,
		"grafana/agent":                                                  other,
		"grafana/alloy:v1.9.1":                                           other,
		"grafana/promtail":                                               other,
		"jaegertracing/jaeger-collector":                                 other,
		"jaegertracing/jaeger-agent":                                     other,
		"jaegertracing/jaeger-operator":                                  other,
		"victoriametrics/vmagent":                                        other,
		"victoriametrics/vminsert:v1.122.0-cluster":                      other,
		"opensearchproject/opensearch-dashboards":                        other,
		"ghcr.io/open-telemetry/opentelemetry-operator/target-allocator": other,
		"provectuslabs/kafka-ui":                                         other,
		"memcached:1.6.38-alpine":                                        other,
		"redis:8":                                                        other,
		"quay.io/oauth2-proxy/oauth2-proxy":                              helper,
		"quay.io/brancz/kube-rbac-proxy:v0.19.1":                         helper,
		"quay.io/kiwigrid/k8s-sidecar:1.30":                              helper,
		"rancher/mirrored-kiwigrid-k8s-sidecar:1.24.6":                   helper,
		"docker.io/istio/proxyv2:1.26":                                   helper,
		"nginxinc/nginx-unprivileged:1.29-alpine":                        proxy,
		"rancher/mirrored-library-nginx:1.27.2-alpine":                   proxy,
		"nginx": proxy,
		// Nobody knows.
		"all-in-one":                      nothing,
		"example.com/shop/cart:1":         nothing,
		"example.com/shop/my-prometheus":  nothing,
		"example.com/shop/prometheus-web": nothing,
		"quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:" + digest: nothing,
		"": nothing, "/": nothing, ":": nothing, "@": nothing, "a/": nothing, "/:tag": nothing,
		"sha256:" + digest:                       nothing,
		strings.Repeat("a/", 400) + "prometheus": nothing,
		"prometheus:" + strings.Repeat("x", 600): nothing,
	} {
		got := nothing
		switch run := Default().look(image); run.use {
		case imageOfKind:
			if got = Default().kinds[run.kinds[0]].typ; len(run.kinds) > 1 {
				t.Errorf("%s may be several kinds", image)
			}
		case imageHelper:
			got = helper
		case imageProxy:
			got = proxy
		case imageOther:
			got = other
		}
		if got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

const digest = "9abc0000000000000000000000000000000000000000000000000000000000ff"

// Each kind has an image, but those that anybody may make and declare, and none has two meanings.
func TestEachKindHasAnImage(t *testing.T) {
	for _, k := range Default().kinds {
		if len(k.images) == 0 && len(k.appProtocols) == 0 {
			t.Errorf("%s has none", k.typ)
		}
		for _, s := range k.images {
			if r := Default().images.known[imageKey(s)]; r.use != imageOfKind || len(r.kinds) != 1 {
				t.Errorf("%s of %s: %+v", s, k.typ, r)
			}
		}
	}
}

// Whatever the name of an image, look has an answer, and registry, tag and digest don't
// change it.
func FuzzImage(f *testing.F) {
	for _, s := range []string{"prom/prometheus:v3", "localhost:5000/a/b@sha256:00", "::@@//", "mirrored-mirrored-", "a-1-2-3-rhel9", "\x00\xff\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, image string) {
		got := Default().look(image)
		if p := printable(image); len(p) > 210 || !utf8.ValidString(p) || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%q is printed as %q", image, p)
		}
		if len(image) > 200 || strings.ContainsAny(image, ":@/") || image == "" {
			return
		}
		for _, same := range []string{"localhost:5000/" + image, image + ":1.2", image + "@sha256:" + digest, "registry.example.com/" + image + ":1@sha256:" + digest} {
			if r := Default().look(same); r.use != got.use || len(r.kinds) != len(got.kinds) {
				t.Errorf("%q and %q: %+v and %+v", image, same, got, r)
			}
		}
	})
}
