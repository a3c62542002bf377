package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A shape is a Service as an operator or a chart makes it for an instance or a release,
// whose name the user chooses.
type shape struct {
	by, want string // "prometheus http 9090 /path"; "" if it is no back end
	name     func(instance string) string
	labels   string // "key=value, key=value"; * is the name of the instance
	selector string
	ports    string // "name:number>target", for each port
	headless bool
}

const long = "a23456789b123456789c123456789d123456789e123456789f123456789g123"

// cut shortens the name of an instance, as operators do to make names fit.
func cut(format string) func(string) string {
	return func(instance string) string {
		if most := 63 - (len(format) - len("%s")); len(instance) > most {
			instance = strings.TrimRight(instance[:most], "-")
		}
		return fmt.Sprintf(format, instance)
	}
}

// chart makes a name as charts do: without the name of the chart if the release's contains
// it, and shortened to most letters before the suffix.
func chart(own, suffix string, most int) func(string) string {
	return func(release string) string {
		if len(release) > 53 { // the longest that Helm accepts
			release = release[:53]
		}
		name := release
		if !strings.Contains(release, own) {
			name += "-" + own
		}
		name = strings.TrimRight(name[:min(len(name), most)], "-") + suffix
		return strings.TrimRight(name[:min(len(name), 63)], "-")
	}
}

const (
	kubeName  = "app.kubernetes.io/name"
	instance  = "app.kubernetes.io/instance=*, "
	component = "app.kubernetes.io/component"
	jaegerOf  = "app=jaeger, app.kubernetes.io/managed-by=jaeger-operator, app.kubernetes.io/part-of=jaeger, " + instance
	otelOf    = component + "=opentelemetry-collector, app.kubernetes.io/managed-by=opentelemetry-operator, " +
		"app.kubernetes.io/part-of=opentelemetry, app.kubernetes.io/instance=ns.*"
	esOf  = "common.k8s.elastic.co/type=elasticsearch, elasticsearch.k8s.elastic.co/cluster-name=*"
	vmOf  = component + "=monitoring, managed-by=vm-operator, " + instance
	lokis = kubeName + "=loki, " + instance
	mimis = kubeName + "=mimir, " + instance
)

// shapes are from the sources of operators and charts.
var shapes = []shape{
	// Elastic Cloud on Kubernetes
	{by: "ECK", want: "elasticsearch https 9200", name: cut("%s-es-http"), labels: esOf, selector: esOf, ports: "https:9200>9200"},
	{by: "ECK headless", want: "elasticsearch https 9200", name: cut("%s-es-default"), labels: esOf,
		selector: esOf + ", elasticsearch.k8s.elastic.co/statefulset-name=*-es-default", ports: "https:9200>9200", headless: true},
	{by: "ECK without TLS", want: "elasticsearch http 9200", name: cut("%s-es-http"), labels: esOf, selector: esOf, ports: "http:9200>9200"},
	{by: "ECK, a user's Service", want: "elasticsearch https 9200", name: cut("%s"), selector: esOf, ports: "9200"},
	{by: "ECK transport", name: cut("%s-es-transport"), labels: esOf, selector: esOf, ports: "tls-transport:9300>9300", headless: true},
	{by: "ECK Kibana", want: "kibana https 5601", name: cut("%s-kb-http"), labels: "common.k8s.elastic.co/type=kibana, kibana.k8s.elastic.co/name=*",
		selector: "common.k8s.elastic.co/type=kibana, kibana.k8s.elastic.co/name=*", ports: "https:5601>5601"},
	{by: "ECK APM server", name: cut("%s-apm-http"), labels: "common.k8s.elastic.co/type=apm-server, apm.k8s.elastic.co/name=*",
		selector: "common.k8s.elastic.co/type=apm-server, apm.k8s.elastic.co/name=*", ports: "https:8200>8200"},
	{by: "ECK Logstash", name: cut("%s-ls-api"), labels: "common.k8s.elastic.co/type=logstash, logstash.k8s.elastic.co/name=*",
		selector: "common.k8s.elastic.co/type=logstash, logstash.k8s.elastic.co/name=*", ports: "api:9600>9600", headless: true},
	{by: "ECK agent", name: cut("%s-agent-http"), labels: "common.k8s.elastic.co/type=agent, agent.k8s.elastic.co/name=*",
		selector: "common.k8s.elastic.co/type=agent, agent.k8s.elastic.co/name=*", ports: "https:8220>8220"},
	{by: "ECK maps", name: cut("%s-ems-http"), labels: "common.k8s.elastic.co/type=maps, maps.k8s.elastic.co/name=*",
		selector: "common.k8s.elastic.co/type=maps, maps.k8s.elastic.co/name=*", ports: "https:8080>8080"},

	{by: "OpenSearch operator", want: "opensearch http 9200", name: cut("%s"), labels: "opster.io/opensearch-cluster=*",
		selector: "opster.io/opensearch-cluster=*", ports: "http:9200>9200 transport:9300>9300 metrics:9600>9600 rca:9650>9650"},
	{by: "OpenSearch operator's discovery", name: cut("%s-discovery"), labels: "opster.io/opensearch-cluster=*",
		selector: "opster.io/opensearch-cluster=*, opensearch.role=cluster_manager", ports: "transport:9300>9300", headless: true},
	{by: "OpenSearch operator's dashboards", name: cut("%s-dashboards"), labels: "opensearch.cluster.dashboards=*",
		selector: "opensearch.cluster.dashboards=*", ports: "http:5601>5601"},

	{by: "Prometheus operator", want: "prometheus http 9090", name: cut("%.0sprometheus-operated"), labels: "operated-prometheus=true, managed-by=prometheus-operator",
		selector: kubeName + "=prometheus", ports: "web:9090>web", headless: true},
	{by: "Prometheus operator, a user's Service", want: "prometheus http 9090", name: cut("%s"), selector: "prometheus=*", ports: "web:9090>web"},
	{by: "Prometheus operator's sidecars", name: cut("%s-thanos-discovery"), selector: "prometheus=*", ports: "grpc:10901>grpc http:10902>http", headless: true},
	{by: "Prometheus operator's Alertmanager", want: "alertmanager http 9093", name: cut("%s"), selector: "alertmanager=*", ports: "web:9093>web mesh:9094>mesh-tcp"},
	{by: "Prometheus operator's Thanos ruler", name: cut("%.0sthanos-ruler-operated"), labels: "operated-thanos-ruler=true",
		selector: kubeName + "=thanos-ruler, thanos-ruler=*", ports: "web:10902>web grpc:10901>grpc", headless: true},

	{by: "VictoriaMetrics operator", want: "victoriametrics http 8428", name: cut("vmsingle-%s"), labels: kubeName + "=vmsingle, " + vmOf,
		selector: kubeName + "=vmsingle, " + vmOf, ports: "http:8428>8428"},
	{by: "VictoriaMetrics operator, older", want: "victoriametrics http 8429", name: cut("vmsingle-%s"), labels: kubeName + "=vmsingle, " + vmOf,
		selector: kubeName + "=vmsingle, " + vmOf, ports: "http:8429>8429"},
	{by: "VMSelect", want: "victoriametrics http 8481 /select/0/prometheus", name: cut("vmselect-%s"), labels: kubeName + "=vmselect, " + vmOf,
		selector: kubeName + "=vmselect, " + vmOf, ports: "http:8481>8481", headless: true},
	{by: "VMInsert", name: cut("vminsert-%s"), selector: kubeName + "=vminsert, " + vmOf, ports: "http:8480>8480"},
	{by: "VMStorage", name: cut("vmstorage-%s"), selector: kubeName + "=vmstorage, " + vmOf, ports: "http:8482>8482 vminsert:8400>8400 vmselect:8401>8401", headless: true},
	{by: "VMAgent", name: cut("vmagent-%s"), labels: kubeName + "=vmagent, " + vmOf, selector: kubeName + "=vmagent, " + vmOf, ports: "http:8429>8429"},
	{by: "VMAlert", name: cut("vmalert-%s"), labels: kubeName + "=vmalert, " + vmOf, selector: kubeName + "=vmalert, " + vmOf, ports: "http:8080>8080"},
	{by: "VMAlertmanager", want: "alertmanager http 9093", name: cut("vmalertmanager-%s"), labels: kubeName + "=vmalertmanager, " + vmOf,
		selector: kubeName + "=vmalertmanager, " + vmOf, ports: "http:9093>web tcp-mesh:9094>mesh-tcp", headless: true},
	{by: "VLSingle", want: "victorialogs http 9428", name: cut("vlsingle-%s"), labels: kubeName + "=vlsingle, " + vmOf,
		selector: kubeName + "=vlsingle, " + vmOf, ports: "http:9428>9428"},
	{by: "VLSelect", want: "victorialogs http 9471", name: cut("vlselect-%s"), selector: kubeName + "=vlselect, " + vmOf, ports: "http:9471>9471"},
	{by: "VLStorage", name: cut("vlstorage-%s"), selector: kubeName + "=vlstorage, " + vmOf, ports: "http:9491>9491"},
	{by: "VLAgent", name: cut("vlagent-%s"), selector: kubeName + "=vlagent, " + vmOf, ports: "http:9429>9429"},

	{by: "Strimzi", want: "kafka tcp 9092", name: cut("%s-kafka-bootstrap"),
		labels:   kubeName + "=kafka, app.kubernetes.io/managed-by=strimzi-cluster-operator, app.kubernetes.io/part-of=strimzi-*, strimzi.io/cluster=*, strimzi.io/component-type=kafka, " + instance,
		selector: "strimzi.io/cluster=*, strimzi.io/kind=Kafka, strimzi.io/name=*-kafka, strimzi.io/broker-role=true",
		ports:    "tcp-replication:9091>9091 tcp-clients:9092>9092 tcp-clientstls:9093>9093"},
	{by: "Strimzi's Connect", name: cut("%s-connect-api"), labels: kubeName + "=kafka-connect, strimzi.io/cluster=*, " + instance,
		selector: "strimzi.io/cluster=*, strimzi.io/kind=KafkaConnect, strimzi.io/name=*-connect", ports: "rest-api:8083>8083"},
	{by: "Strimzi's ZooKeeper", name: cut("%s-zookeeper-client"), labels: kubeName + "=zookeeper, strimzi.io/cluster=*, " + instance,
		selector: "strimzi.io/cluster=*, strimzi.io/kind=Kafka, strimzi.io/name=*-zookeeper", ports: "tcp-clients:2181>2181"},

	{by: "RabbitMQ operator", want: "rabbitmq http 15672", name: cut("%s"), labels: kubeName + "=*, " + component + "=rabbitmq, app.kubernetes.io/part-of=rabbitmq",
		selector: kubeName + "=*", ports: "amqp:5672>5672 management:15672>15672 prometheus:15692>15692"},
	{by: "RabbitMQ operator, TLS only", want: "rabbitmq https 15671", name: cut("%s"), labels: kubeName + "=*, " + component + "=rabbitmq, app.kubernetes.io/part-of=rabbitmq",
		selector: kubeName + "=*", ports: "amqps:5671>5671 management-tls:15671>15671 prometheus-tls:15691>15691"},
	{by: "RabbitMQ operator's nodes", name: cut("%s-nodes"), labels: kubeName + "=*, " + component + "=rabbitmq, app.kubernetes.io/part-of=rabbitmq",
		selector: kubeName + "=*", ports: "epmd:4369>4369 cluster-rpc:25672>25672", headless: true},

	{by: "Jaeger operator", want: "jaeger http 16686", name: cut("%s-query"), labels: jaegerOf + kubeName + "=*-query, " + component + "=service-query",
		selector: jaegerOf + kubeName + "=*, " + component + "=all-in-one", ports: "http-query:16686>16686 grpc-query:16685>16685"},
	{by: "Jaeger operator, OAuth proxy", want: "jaeger https 443", name: cut("%s-query"), labels: jaegerOf + kubeName + "=*-query, " + component + "=service-query",
		selector: jaegerOf + kubeName + "=*-query, " + component + "=query", ports: "https-query:443>8443 grpc-query:16685>16685"},
	{by: "Jaeger operator's collector", name: cut("%s-collector"), labels: jaegerOf + kubeName + "=*-collector, " + component + "=service-collector",
		selector: jaegerOf + kubeName + "=*, " + component + "=all-in-one",
		ports:    "http-zipkin:9411 grpc-jaeger:14250 http-c-tchan-trft:14267 http-c-binary-trft:14268 admin-http:14269 grpc-otlp:4317 http-otlp:4318"},

	{by: "Tempo operator", want: "tempo http 3200", name: cut("tempo-%s-query-frontend"),
		labels:   kubeName + "=tempo, " + component + "=query-frontend, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		selector: kubeName + "=tempo, " + component + "=query-frontend, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		ports:    "http:3200>http grpc:9095>grpc jaeger-grpc:16685>jaeger-grpc jaeger-ui:16686>jaeger-ui"},
	{by: "Tempo operator's ingester", name: cut("tempo-%s-ingester"),
		labels:   kubeName + "=tempo, " + component + "=ingester, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		selector: kubeName + "=tempo, " + component + "=ingester, app.kubernetes.io/managed-by=tempo-operator, " + instance, ports: "http:3200>http grpc:9095>grpc"},
	{by: "TempoMonolithic", want: "tempo http 3200", name: cut("tempo-%s"),
		labels:   kubeName + "=tempo-monolithic, " + component + "=tempo, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		selector: kubeName + "=tempo-monolithic, " + component + "=tempo, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		ports:    "http:3200>http otlp-grpc:4317>otlp-grpc otlp-http:4318>otlp-http"},
	{by: "TempoMonolithic's Jaeger UI", want: "jaeger http 16686", name: cut("tempo-%s-jaegerui"),
		labels:   kubeName + "=tempo-monolithic, " + component + "=jaegerui, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		selector: kubeName + "=tempo-monolithic, " + component + "=tempo, app.kubernetes.io/managed-by=tempo-operator, " + instance,
		ports:    "jaeger-grpc:16685>jaeger-grpc jaeger-ui:16686>jaeger-ui jaeger-metrics:16687>jaeger-metrics"},

	{by: "OpenTelemetry operator", want: "otel-collector http 4318", name: cut("%s-collector"), labels: otelOf + ", " + kubeName + "=*-collector", selector: otelOf,
		ports: "otlp-grpc:4317>4317 otlp-http:4318>4318"},
	{by: "OpenTelemetry operator, headless", want: "otel-collector grpc 4317", name: cut("%s-collector-headless"), labels: otelOf + ", " + kubeName + "=*-collector",
		selector: otelOf, ports: "otlp-grpc:4317>4317", headless: true},
	{by: "OpenTelemetry operator's metrics", name: cut("%s-collector-monitoring"), labels: otelOf + ", " + kubeName + "=*-collector-monitoring", selector: otelOf, ports: "monitoring:8888>8888"},
	{by: "OpenTelemetry operator, Jaeger", want: "jaeger http 16686", name: cut("%s-collector-extension"), labels: otelOf + ", " + kubeName + "=*-collector", selector: otelOf,
		ports: "jaeger-query:16686>16686"},

	// Charts
	{by: "kube-prometheus-stack", want: "prometheus http 9090", name: chart("kube-prometheus-stack", "-prometheus", 26), labels: "app=kube-prometheus-stack-prometheus, release=*, self-monitor=true",
		selector: kubeName + "=prometheus, operator.prometheus.io/name=*-kube-prometheus-stack-prometheus", ports: "http-web:9090>9090 reloader-web:8080>reloader-web"},
	{by: "kube-prometheus-stack's Alertmanager", want: "alertmanager http 9093", name: chart("kube-prometheus-stack", "-alertmanager", 26),
		labels: "app=kube-prometheus-stack-alertmanager, release=*", selector: kubeName + "=alertmanager, alertmanager=*-kube-prometheus-stack-alertmanager",
		ports: "http-web:9093>9093 reloader-web:8080>reloader-web"},
	{by: "kube-prometheus-stack's operator", name: chart("kube-prometheus-stack", "-operator", 26), labels: "app=kube-prometheus-stack-operator, release=*",
		selector: "app=kube-prometheus-stack-operator, release=*", ports: "https:443>https"},
	{by: "the Grafana chart", want: "grafana http 80", name: chart("grafana", "", 63), labels: kubeName + "=grafana, " + instance,
		selector: kubeName + "=grafana, " + instance, ports: "http-web:80>grafana"},
	{by: "the Prometheus chart", want: "prometheus http 80", name: chart("prometheus", "-server", 63), labels: kubeName + "=prometheus, " + component + "=server, " + instance,
		selector: kubeName + "=prometheus, " + component + "=server, " + instance, ports: "http:80>9090"},
	{by: "kube-state-metrics' chart", name: chart("kube-state-metrics", "", 63), labels: kubeName + "=kube-state-metrics, " + component + "=metrics, " + instance,
		selector: kubeName + "=kube-state-metrics, " + instance, ports: "http:8080>http"},
	{by: "the Loki chart", want: "loki http 3100", name: chart("loki", "", 63), labels: lokis, selector: lokis + component + "=single-binary", ports: "http-metrics:3100>http-metrics grpc:9095>grpc"},
	{by: "the Loki chart's gateway", want: "loki http 80", name: chart("loki", "-gateway", 55), labels: lokis + component + "=gateway", selector: lokis + component + "=gateway", ports: "http-metrics:80>http-metrics"},
	{by: "the Loki chart's readers", want: "loki http 3100", name: chart("loki", "-read", 55), labels: lokis + component + "=read", selector: lokis + component + "=read", ports: "http-metrics:3100>http-metrics grpc:9095>grpc"},
	{by: "the Loki chart's writers", name: chart("loki", "-write", 55), labels: lokis + component + "=write", selector: lokis + component + "=write", ports: "http-metrics:3100>http-metrics grpc:9095>grpc"},
	{by: "the Loki chart's canary", name: chart("loki", "-canary", 55), labels: lokis + component + "=canary", selector: lokis + component + "=canary", ports: "http-metrics:3500>http-metrics"},
	{by: "the Mimir chart", want: "mimir http 8080 /prometheus", name: chart("mimir", "-query-frontend", 40), labels: mimis + component + "=query-frontend",
		selector: mimis + component + "=query-frontend", ports: "http-metrics:8080>http-metrics grpc:9095>grpc"},
	{by: "the Mimir chart's gateway", want: "mimir http 80 /prometheus", name: chart("mimir", "-gateway", 40), labels: mimis + component + "=gateway", selector: mimis + component + "=gateway", ports: "http-metrics:80>http-metrics"},
	{by: "the Mimir chart's distributor", name: chart("mimir", "-distributor", 40), labels: mimis + component + "=distributor", selector: mimis + component + "=distributor", ports: "http-metrics:8080>http-metrics grpc:9095>grpc"},
	{by: "the OpenTelemetry collector's chart", want: "otel-collector http 4318", name: chart("opentelemetry-collector", "", 63), labels: kubeName + "=opentelemetry-collector, component=standalone-collector, " + instance,
		selector: kubeName + "=opentelemetry-collector, component=standalone-collector, " + instance, ports: "jaeger-grpc:14250>14250 otlp:4317>4317 otlp-http:4318>4318 zipkin:9411>9411"},
	{by: "the Pyroscope chart", want: "pyroscope http 4040", name: chart("pyroscope", "-query-frontend", 40), labels: kubeName + "=pyroscope, " + component + "=query-frontend, " + instance,
		selector: kubeName + "=pyroscope, " + component + "=query-frontend, " + instance, ports: "http2:4040>http2"},
	{by: "the Pyroscope chart's ingester", name: chart("pyroscope", "-ingester", 40), labels: kubeName + "=pyroscope, " + component + "=ingester, " + instance,
		selector: kubeName + "=pyroscope, " + component + "=ingester, " + instance, ports: "http2:4040>http2"},
	{by: "the Quickwit chart", want: "quickwit http 7280 /api/v1", name: chart("quickwit", "-searcher", 50), labels: kubeName + "=quickwit, " + instance,
		selector: kubeName + "=quickwit, " + component + "=searcher, " + instance, ports: "rest:7280>rest grpc:7281>grpc"},
	{by: "the Quickwit chart's indexer", name: chart("quickwit", "-indexer", 50), labels: kubeName + "=quickwit, " + instance,
		selector: kubeName + "=quickwit, " + component + "=indexer, " + instance, ports: "rest:7280>rest grpc:7281>grpc"},
	{by: "the InfluxDB chart", want: "influxdb http 80", name: chart("influxdb2", "", 63), labels: kubeName + "=influxdb2, " + instance, selector: kubeName + "=influxdb2, " + instance, ports: "http:80>http"},
	{by: "the Kiali operator", want: "kiali http 20001 /kiali/api", name: cut("%s"), labels: "app=kiali, " + kubeName + "=kiali, app.kubernetes.io/part-of=kiali, " + instance,
		selector: kubeName + "=kiali, " + instance, ports: "http:20001>20001 http-metrics:9090>9090"},
	{by: "the Argo CD chart", want: "argocd https 443 /api/v1", name: chart("argocd", "-server", 40), labels: kubeName + "=argocd-server, " + component + "=server, app.kubernetes.io/part-of=argocd, " + instance,
		selector: kubeName + "=argocd-server, " + instance, ports: "http:80>8080 https:443>8080"},
	{by: "the Argo CD chart's repo server", name: chart("argocd", "-repo-server", 40), labels: kubeName + "=argocd-repo-server, " + component + "=repo-server, app.kubernetes.io/part-of=argocd, " + instance,
		selector: kubeName + "=argocd-repo-server, " + instance, ports: "tcp-repo-server:8081>repo-server"},
	{by: "Bitnami's Kafka chart", want: "kafka tcp 9092", name: chart("kafka", "", 63), labels: kubeName + "=kafka, " + component + "=kafka, " + instance,
		selector: kubeName + "=kafka, app.kubernetes.io/part-of=kafka, " + instance, ports: "tcp-client:9092>client"},
	{by: "Bitnami's Elasticsearch chart", want: "elasticsearch http 9200", name: chart("elasticsearch", "", 63), labels: kubeName + "=elasticsearch, " + component + "=master, " + instance,
		selector: kubeName + "=elasticsearch, " + component + "=master, " + instance, ports: "tcp-rest-api:9200>rest-api tcp-transport:9300"},
	{by: "the Grafana operator", want: "grafana http 3000", name: cut("%s-service"), selector: "app=*", ports: "grafana:3000>grafana-http"},
}

// fields reads "key=value, key=value", with * for the name of the instance.
func fields(s, instance string) map[string]string {
	m := map[string]string{}
	for _, f := range strings.Split(strings.ReplaceAll(s, "*", instance), ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(f), "="); ok {
			m[k] = v[:min(len(v), 63)]
		}
	}
	return m
}

func (s *shape) service(name, namespace string) *corev1.Service {
	svc := &corev1.Service{}
	svc.Name, svc.Namespace = s.name(name), namespace
	svc.Labels, svc.Spec.Selector = fields(s.labels, name), fields(s.selector, name)
	if s.headless {
		svc.Spec.ClusterIP = corev1.ClusterIPNone
	}
	for _, p := range strings.Fields(s.ports) {
		var out corev1.ServicePort
		rest := p
		if n, r, ok := strings.Cut(p, ":"); ok {
			out.Name, rest = n, r
		}
		number, target, ok := strings.Cut(rest, ">")
		_, _ = fmt.Sscan(number, &out.Port)
		if ok {
			out.TargetPort = intstr.Parse(target)
		}
		svc.Spec.Ports = append(svc.Spec.Ports, out)
	}
	return svc
}

// awkward are possible names of instances: every word that means something to the rules,
// and the shortest and longest names.
func awkward(t *testing.T) []string {
	p, err := defaults()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{"a": true, long: true, "loki-api": true}
	for _, k := range Default().kinds {
		for _, list := range [][]string{{k.typ}, k.names, k.weakNames, k.except, k.allow, k.health.frontWords} {
			for _, w := range list {
				all[strings.ReplaceAll(w, anyWord, "any")] = true
			}
		}
	}
	for _, k := range Default().kinds {
		for _, role := range []string{"exporter", "operator", "agent", "ui", "metrics", "db", "gateway", "query-frontend", "collector", "proxy"} {
			all[k.typ+"-"+role] = true
		}
	}
	w := p.words
	for _, list := range [][]string{w.roles, w.localRoles, w.fronts, slices.Collect(maps.Keys(w.neutral)), slices.Collect(maps.Keys(w.parts))} {
		for _, s := range list {
			all[s] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// The name of an instance says who owns it. It must not change the type, port, scheme, path
// or health check.
func TestInstanceNamesMeanNothing(t *testing.T) {
	names := awkward(t)
	if len(names) < 200 {
		t.Fatalf("only %d names", len(names))
	}
	r := Default()
	answer := func(s *shape, name, namespace string) (short, whole string) {
		b := r.Identify(s.service(name, namespace), Options{}).Backend
		if b == nil {
			return "", ""
		}
		scheme, rest, _ := strings.Cut(b.Endpoint, "://")
		short = strings.TrimSpace(b.Type + " " + scheme + " " + rest[strings.LastIndexByte(rest, ':')+1:] + " " + b.APIPath)
		probe := b.Probe.URL + b.Probe.Address
		return short, short + " probe " + probe[strings.LastIndexByte(probe, ':')+1:]
	}
	for i := range shapes {
		s := &shapes[i]
		_, plain := answer(s, "a", "ns")
		var wrong []string
		for _, n := range names {
			for _, namespace := range []string{"ns", n} {
				short, whole := answer(s, n, namespace)
				if short != s.want || whole != plain {
					wrong = append(wrong, fmt.Sprintf("%s (%s): %q", n, s.name(n), whole))
				}
			}
		}
		if len(wrong) > 0 {
			t.Errorf("%s: want %q; %d of %d instances wrong: %s", s.by, s.want, len(wrong), 2*len(names), strings.Join(wrong[:min(len(wrong), 12)], ", "))
		}
	}
	t.Logf("%d shapes, %d names each", len(shapes), len(names))
}
