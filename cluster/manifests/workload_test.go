package manifests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// describe returns a workload as "name label=value ...: image port/name below /prefix ...; image".
func describe(w *service.Workload) string {
	var labels, containers []string
	for k, v := range w.Labels {
		labels = append(labels, k+"="+v)
	}
	slices.Sort(labels)
	for _, c := range w.Containers {
		s := c.Image
		for _, p := range c.Ports {
			s += fmt.Sprint(" ", p.Number, "/", p.Name)
		}
		if c.Prefix != "" {
			s += " below " + c.Prefix
		}
		containers = append(containers, s)
	}
	return w.String() + " " + strings.Join(labels, " ") + ": " + strings.Join(containers, "; ")
}

func parsed(t *testing.T, doc string) (all []string) {
	t.Helper()
	found, err := parseManifests([]byte(doc), 10_000, func() bool { return false })
	if err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	for _, f := range found {
		if f.problem != "" {
			t.Errorf("problem %q in\n%.300s", f.problem, doc)
		}
		for _, w := range f.workloads {
			all = append(all, describe(w))
		}
	}
	return all
}

// Workloads, plain and awkward. None is a problem.
func TestParseWorkloads(t *testing.T) {
	const pod = "metadata: {labels: {app: x}}, spec: {containers: [{image: a, ports: [{containerPort: 1, name: web}, {containerPort: 2, protocol: UDP}]}, {image: b}]}"
	for doc, want := range map[string]string{
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: m}\nspec: {template: {" + pod + "}}": "Deployment m/d app=x: a 1/web; b",
		"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: d}\nspec: {template: {" + pod + "}}":              "StatefulSet default/d app=x: a 1/web; b",
		"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec: {template: {" + pod + "}}":                "DaemonSet default/d app=x: a 1/web; b",
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: d}\nspec: {template: {" + pod + "}}":               "ReplicaSet default/d app=x: a 1/web; b",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: [{image: a}]}":        "Pod default/p app=x: a",
		// Made by another workload, which says what runs now.
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: d, ownerReferences: [{kind: Deployment}]}\nspec: {template: {" + pod + "}}":           "",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}, ownerReferences: [{kind: ReplicaSet}]}\nspec: {containers: [{image: a}]}":    "",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}, ownerReferences: [{kind: StrimziPodSet}]}\nspec: {containers: [{image: a}]}": "Pod default/p app=x: a",
		// No API server knows these any more, or ever did.
		"apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {" + pod + "}}": "",
		"apiVersion: v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {" + pod + "}}":                 "",
		// Nothing that a Service could select.
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}":                                                                                                                                                           "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{image: a}]}}}":                                                                                                     "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: x}}}}":                                                                                                         "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\nspec: {template: {" + pod + "}}":                                                                                                                                 "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: nonsense":                                                                                                                                           "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: true}}}}":                                                                                                      "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: \"d\\e[31m\"}\nspec: {template: {" + pod + "}}":                                                                                                               "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: [d]}\nspec: {template: {" + pod + "}}":                                                                                                                        "",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: x}}, spec: {containers: [null]}}}":                                                                             "Deployment default/d app=x: ",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: x, long: " + strings.Repeat("y", 64) + "}}, spec: {containers: [{image: " + strings.Repeat("i", 600) + "}]}}}": "Deployment default/d app=x: ",
		// Other fields don't matter, even if they are wrong.
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: many, template: {metadata: {labels: {app: x}}, spec: {volumes: none, containers: [{image: a, resources: 1}]}}}": "Deployment default/d app=x: a",
		// The path below which it answers, of fields that may have any form.
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: [{image: a, command: [prometheus], args: [--web.route-prefix=/prom]}]}":                                       "Pod default/p app=x: a below /prom",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: [{image: a, env: [{name: QUERY_BASE_PATH, value: /jaeger}]}]}":                                                "Pod default/p app=x: a below /jaeger",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: [{image: a, args: [5, {a: b}, --web.route-prefix=/prom], env: [null, {name: [x]}, {name: y, value: 5}, z]}]}": "Pod default/p app=x: a below /prom",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: x}}\nspec: {containers: [{image: a, command: run, args: {a: b}, env: {a: b}}]}":                                                       "Pod default/p app=x: a",
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: [nonsense]":                                                                                                     "",
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nspec: {}":                                                                                                                                  "",
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: p}":                                                                                                                   "",
	} {
		if got := strings.Join(parsed(t, doc), ", "); got != want {
			t.Errorf("%s:\n%s\nwant %s", doc, got, want)
		}
	}
}

// 10,000 containers, ports or labels are read, but not kept.
func TestHugeWorkload(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    metadata: {labels: {app: x}}\n    spec:\n      containers:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "      - {image: image-%d}\n", i)
	}
	found, err := parseManifests([]byte(b.String()), 10_000, func() bool { return false })
	if err != nil || len(found) != 1 || len(found[0].workloads) != 1 || len(found[0].workloads[0].Containers) > 100 {
		t.Errorf("%d findings, %v", len(found), err)
	}
}

// The pods that operators make, as their source has them.
func TestOperators(t *testing.T) {
	for doc, want := range map[string][]string{
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s, namespace: m}\nspec: {version: v3.5.0, podMetadata: {labels: {app.kubernetes.io/part-of: kube-prometheus}}, thanos: {}}": {
			"Prometheus m/k8s app.kubernetes.io/instance=k8s app.kubernetes.io/managed-by=prometheus-operator app.kubernetes.io/name=prometheus app.kubernetes.io/part-of=kube-prometheus operator.prometheus.io/name=k8s operator.prometheus.io/shard=0 prometheus=k8s: quay.io/prometheus/prometheus:v3.5.0 9090/web; quay.io/thanos/thanos 10902/http 10901/grpc"},
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s}\nspec: {image: example.com/p:1, listenLocal: true, containers: [{name: prometheus, args: [x]}, {name: proxy, image: oauth-proxy, ports: [{name: web, containerPort: 9091}]}]}": {
			"Prometheus default/k8s app.kubernetes.io/instance=k8s app.kubernetes.io/managed-by=prometheus-operator app.kubernetes.io/name=prometheus operator.prometheus.io/name=k8s operator.prometheus.io/shard=0 prometheus=k8s: example.com/p:1; oauth-proxy 9091/web"},
		"apiVersion: monitoring.coreos.com/v1\nkind: Alertmanager\nmetadata: {name: main}": {
			"Alertmanager default/main alertmanager=main app.kubernetes.io/instance=main app.kubernetes.io/managed-by=prometheus-operator app.kubernetes.io/name=alertmanager: quay.io/prometheus/alertmanager 9094/mesh-tcp 9093/web"},
		"apiVersion: grafana.integreatly.org/v1beta1\nkind: Grafana\nmetadata: {name: g}\nspec: {version: 12.0.0, deployment: {spec: {template: {metadata: {labels: {team: a}}}}}}": {
			"Grafana default/g app=g team=a: docker.io/grafana/grafana:12.0.0 3000/grafana-http"},
		"apiVersion: monitoring.coreos.com/v1\nkind: Alertmanager\nmetadata: {name: main}\nspec: {routePrefix: /alerts/, externalUrl: https://example.com/elsewhere}": {
			"Alertmanager default/main alertmanager=main app.kubernetes.io/instance=main app.kubernetes.io/managed-by=prometheus-operator app.kubernetes.io/name=alertmanager: quay.io/prometheus/alertmanager 9094/mesh-tcp 9093/web below /alerts"},
		"apiVersion: grafana.integreatly.org/v1beta1\nkind: Grafana\nmetadata: {name: g}\nspec: {config: {server: {root_url: https://example.com/grafana, serve_from_sub_path: \"true\"}}}": {
			"Grafana default/g app=g: docker.io/grafana/grafana 3000/grafana-http below /grafana"},
		"apiVersion: jaegertracing.io/v1\nkind: Jaeger\nmetadata: {name: j}": {
			"Jaeger default/j app.kubernetes.io/component=all-in-one app.kubernetes.io/instance=j app.kubernetes.io/managed-by=jaeger-operator app.kubernetes.io/name=j app.kubernetes.io/part-of=jaeger app=jaeger: jaegertracing/all-in-one 16686/query"},
		"apiVersion: jaegertracing.io/v1\nkind: Jaeger\nmetadata: {name: j}\nspec: {strategy: Production}": {
			"Jaeger default/j app.kubernetes.io/component=query app.kubernetes.io/instance=j app.kubernetes.io/managed-by=jaeger-operator app.kubernetes.io/name=j-query app.kubernetes.io/part-of=jaeger app=jaeger: jaegertracing/jaeger-query 16686/query"},
		"apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nmetadata: {name: simplest, namespace: o, labels: {team: a}}": {
			"OpenTelemetryCollector o/simplest app.kubernetes.io/component=opentelemetry-collector app.kubernetes.io/instance=o.simplest app.kubernetes.io/managed-by=opentelemetry-operator app.kubernetes.io/name=simplest-collector app.kubernetes.io/part-of=opentelemetry team=a: ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector"},
		"apiVersion: opentelemetry.io/v1alpha1\nkind: OpenTelemetryCollector\nmetadata: {name: s}\nspec: {mode: sidecar}": nil,
		"apiVersion: tempo.grafana.com/v1alpha1\nkind: TempoMonolithic\nmetadata: {name: t}\nspec: {jaegerui: {enabled: true}}": {
			"TempoMonolithic default/t app.kubernetes.io/component=tempo app.kubernetes.io/instance=t app.kubernetes.io/managed-by=tempo-operator app.kubernetes.io/name=tempo-monolithic: docker.io/grafana/tempo 3200/http; docker.io/grafana/tempo-query 16686/jaeger-ui"},
		"apiVersion: elasticsearch.k8s.elastic.co/v1\nkind: Elasticsearch\nmetadata: {name: e}\nspec: {version: 9.1.0}": {
			"Elasticsearch default/e common.k8s.elastic.co/type=elasticsearch elasticsearch.k8s.elastic.co/cluster-name=e: docker.elastic.co/elasticsearch/elasticsearch:9.1.0 9200/https 9300/transport"},
		"apiVersion: kibana.k8s.elastic.co/v1\nkind: Kibana\nmetadata: {name: k}\nspec: {version: 9.1.0}": {
			"Kibana default/k common.k8s.elastic.co/type=kibana kibana.k8s.elastic.co/name=k: docker.elastic.co/kibana/kibana:9.1.0 5601/https"},
		"apiVersion: opensearch.opster.io/v1\nkind: OpenSearchCluster\nmetadata: {name: o}\nspec: {general: {version: 2.19.0}, dashboards: {enable: true}}": {
			"OpenSearchCluster default/o opensearch.org/opensearch-cluster=o opster.io/opensearch-cluster=o: docker.io/opensearchproject/opensearch:2.19.0 9200/http 9300/transport",
			"OpenSearchCluster default/o (dashboards) opensearch.cluster.dashboards=o: docker.io/opensearchproject/opensearch-dashboards 5601/http"},
		"apiVersion: operator.victoriametrics.com/v1beta1\nkind: VMSingle\nmetadata: {name: v}\nspec: {image: {tag: v1.122.0}, port: \"8429\"}": {
			"VMSingle default/v app.kubernetes.io/component=monitoring app.kubernetes.io/instance=v app.kubernetes.io/name=vmsingle managed-by=vm-operator: victoriametrics/victoria-metrics:v1.122.0 8429/http"},
		"apiVersion: operator.victoriametrics.com/v1beta1\nkind: VMCluster\nmetadata: {name: v}\nspec: {vmselect: {image: {repository: example.com/vmselect, tag: x}}, vmstorage: {}}": {
			"VMCluster default/v (vmselect) app.kubernetes.io/component=monitoring app.kubernetes.io/instance=v app.kubernetes.io/name=vmselect managed-by=vm-operator: example.com/vmselect:x 8481/http",
			"VMCluster default/v (vmstorage) app.kubernetes.io/component=monitoring app.kubernetes.io/instance=v app.kubernetes.io/name=vmstorage managed-by=vm-operator: victoriametrics/vmstorage 8482/http"},
		"apiVersion: kafka.strimzi.io/v1beta2\nkind: Kafka\nmetadata: {name: c}\nspec: {kafka: {listeners: [{name: plain, port: 9092}, {name: tls, port: 70000}, nonsense]}}": {
			"Kafka default/c app.kubernetes.io/instance=c app.kubernetes.io/managed-by=strimzi-cluster-operator app.kubernetes.io/name=kafka app.kubernetes.io/part-of=strimzi-c strimzi.io/broker-role=true strimzi.io/cluster=c strimzi.io/component-type=kafka strimzi.io/kind=Kafka strimzi.io/name=c-kafka: quay.io/strimzi/kafka 9091/tcp-replication 9092/tcp-plain 0/tcp-tls"},
		"apiVersion: rabbitmq.com/v1beta1\nkind: RabbitmqCluster\nmetadata: {name: r, labels: {team: a, app.kubernetes.io/x: z}}": {
			"RabbitmqCluster default/r app.kubernetes.io/component=rabbitmq app.kubernetes.io/name=r app.kubernetes.io/part-of=rabbitmq team=a: docker.io/library/rabbitmq 5672/amqp 15672/management 15692/prometheus"},
	} {
		if got := parsed(t, doc); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", doc, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	for doc, want := range map[string]string{
		"apiVersion: loki.grafana.com/v1\nkind: LokiStack\nmetadata: {name: l}":                                                                                                      "query-frontend app.kubernetes.io/name=lokistack",
		"apiVersion: tempo.grafana.com/v1alpha1\nkind: TempoStack\nmetadata: {name: t}\nspec: {template: {queryFrontend: {jaegerQuery: {enabled: true}}, gateway: {enabled: true}}}": "16686/jaeger-ui",
	} {
		all := parsed(t, doc)
		if len(all) < 6 || !strings.Contains(strings.ReplaceAll(strings.Join(all, "\n"), ") app.kubernetes.io/component=query-frontend app.kubernetes.io/created-by=lokistack-controller app.kubernetes.io/instance=l app.kubernetes.io/managed-by=lokistack-controller", ""), want) {
			t.Errorf("%s: %s", doc, strings.Join(all, "\n"))
		}
	}
}

// A workloadSink keeps what it has received last.
type workloadSink struct {
	mu  sync.Mutex
	all []string
}

func (s *workloadSink) ReplaceWorkloads(_, _ string, all []*service.Workload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
	for _, w := range all {
		s.all = append(s.all, describe(w))
	}
}
func (s *workloadSink) SetWorkload(*service.Workload)    { panic("not called") }
func (s *workloadSink) DeleteWorkload(*service.Workload) { panic("not called") }

func (s *workloadSink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.all, ", ")
}

// Workloads follow their files. A file that is not well-formed keeps them, and of two with
// one name the first counts.
func TestWorkloadsOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	deployment := func(image string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {app: x}}, spec: {containers: [{image: " + image + "}]}}}\n"
	}
	put(t, filepath.Join(dir, "a.yaml"), deployment("one"))
	put(t, filepath.Join(dir, "b.yaml"), deployment("two")+"---\n"+yamlService("s"))
	sink := &workloadSink{}
	m, _ := follow(t, dir, Options{Workloads: sink})
	wants := func(want string) {
		t.Helper()
		testenv.Eventually(t, testenv.Patience, "the workloads are "+want, func() bool { return sink.text() == want })
	}
	wants("Deployment default/d app=x: one")
	put(t, filepath.Join(dir, "a.yaml"), deployment("three"))
	wants("Deployment default/d app=x: three")
	put(t, filepath.Join(dir, "a.yaml"), "half: [")
	testenv.Eventually(t, testenv.Patience, "the problem", func() bool { return len(m.Problems()) == 1 })
	if got := sink.text(); got != "Deployment default/d app=x: three" {
		t.Errorf("of half a file: %s", got)
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	wants("Deployment default/d app=x: two")
	put(t, filepath.Join(dir, "b.yaml"), yamlService("s"))
	wants("")
}
