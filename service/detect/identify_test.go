package detect

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service"
)

// parse reads a Service from YAML.
func parse(t testing.TB, manifest string) *corev1.Service {
	t.Helper()
	svc := &corev1.Service{}
	if err := yaml.UnmarshalStrict([]byte(manifest), svc); err != nil {
		t.Fatal(err)
	}
	return svc
}

func TestBackendIsComplete(t *testing.T) {
	svc := parse(t, `
metadata:
  name: mimir
  labels: {team: platform}
  creationTimestamp: "2026-01-02T03:04:05Z"
  annotations: {kubernaut.io/toolset-primary: "true", secret: hidden}
spec:
  selector: {app: mimir}
  ports: [{name: grpc, port: 9095}, {name: http, port: 80, targetPort: 9009}]
`)
	got := Default().Identify(svc, Options{ClusterDomain: "example.org"})
	got.Backend.Created = got.Backend.Created.UTC()
	want := &service.Backend{
		Key: service.Key{Namespace: "default", Name: "mimir"}, Name: "mimir", Type: "mimir", Enabled: true, Primary: true,
		Endpoint: "http://mimir.default.svc.example.org:80", APIPath: "/prometheus",
		Description: Default().byType["mimir"].description,
		Probe:       service.Probe{Kind: service.ProbeHTTP, URL: "http://mimir.default.svc.example.org:80/ready", AcceptStatus: []int{401, 403}},
		Evidence:    []string{"selector app=mimir", "name mimir", "port 80 (http) to 9009"},
		Declared:    true,
		Pods:        &service.Pods{Selector: map[string]string{"app": "mimir"}, Port: 9009, ServicePort: 80},
		Standing:    service.Standing{Scope: service.ScopeUnknown, Role: service.RoleServer},
		Created:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:      map[string]string{"team": "platform"},
		Annotations: map[string]string{AnnotationPrimary: "true"},
	}
	if !reflect.DeepEqual(got.Backend, want) || got.Problems != nil || got.Rejected != "" {
		t.Errorf("got  %+v %+v\nwant %+v", got.Backend, got, want)
	}
}

func TestEndpointsAndProbes(t *testing.T) {
	for _, c := range []struct{ what, manifest, endpoint, apiPath, probe string }{
		{"of two names for one port, the one that stays",
			`{metadata: {name: mimir-gateway, namespace: obs}, spec: {selector: {app.kubernetes.io/name: mimir, app.kubernetes.io/component: gateway}, ports: [{name: legacy-http-metrics, port: 8080, targetPort: http-metrics}, {name: http-metrics, port: 80, targetPort: http-metrics}]}}`,
			"http://mimir-gateway.obs.svc.cluster.local:80", "/prometheus", "http://mimir-gateway.obs.svc.cluster.local:80/"},
		{"a port of its own with a name that repeats the number",
			`{metadata: {name: events, namespace: obs}, spec: {selector: {app: kafka}, ports: [{name: 9094-tcp, port: 9094}]}}`,
			"tcp://events.obs.svc.cluster.local:9094", "", "events.obs.svc.cluster.local:9094"},
		{"an ECK cluster speaks TLS",
			`{metadata: {name: es-http, namespace: obs}, spec: {selector: {elasticsearch.k8s.elastic.co/cluster-name: x}, ports: [{name: https, port: 9200}]}}`,
			"https://es-http.obs.svc.cluster.local:9200", "", "https://es-http.obs.svc.cluster.local:9200/_cluster/health"},
		{"appProtocol says TLS",
			`{metadata: {name: grafana, namespace: obs}, spec: {selector: {app: grafana}, ports: [{port: 3000, appProtocol: https}]}}`,
			"https://grafana.obs.svc.cluster.local:3000", "", "https://grafana.obs.svc.cluster.local:3000/api/health"},
		{"443 is TLS",
			`{metadata: {name: kibana, namespace: obs}, spec: {selector: {app: kibana}, ports: [{port: 443, targetPort: 5601}]}}`,
			"https://kibana.obs.svc.cluster.local:443", "", "https://kibana.obs.svc.cluster.local:443/api/status"},
		{"Kafka has no HTTP",
			`{metadata: {name: kafka, namespace: obs}, spec: {selector: {app: kafka}, ports: [{port: 9092}]}}`,
			"tcp://kafka.obs.svc.cluster.local:9092", "", "kafka.obs.svc.cluster.local:9092"},
		{"OTLP over HTTP wins over gRPC, and the health port is used",
			`{metadata: {name: otel-collector, namespace: obs}, spec: {selector: {app: otel-collector}, ports: [{port: 4317, name: grpc}, {port: 4318, name: http}, {port: 13133, name: health}]}}`,
			"http://otel-collector.obs.svc.cluster.local:4318", "", "http://otel-collector.obs.svc.cluster.local:13133/"},
		{"gRPC only",
			`{metadata: {name: otel-collector, namespace: obs}, spec: {selector: {app: otel-collector}, ports: [{port: 4317}]}}`,
			"grpc://otel-collector.obs.svc.cluster.local:4317", "", "otel-collector.obs.svc.cluster.local:4317"},
		{"gRPC at a number of its own, which its name tells",
			`{metadata: {name: otlp, namespace: obs}, spec: {selector: {app: otel-collector}, ports: [{name: metrics, port: 9090}, {name: otlp-grpc, port: 8000}]}}`,
			"grpc://otlp.obs.svc.cluster.local:8000", "", "otlp.obs.svc.cluster.local:8000"},
		{"vmselect has its own path",
			`{metadata: {name: vmselect, namespace: obs}, spec: {selector: {app: vmselect}, ports: [{port: 8481}]}}`,
			"http://vmselect.obs.svc.cluster.local:8481", "/select/0/prometheus", "http://vmselect.obs.svc.cluster.local:8481/health"},
		{"a headless Service maps no ports",
			`{metadata: {name: zipkin, namespace: obs}, spec: {clusterIP: None, selector: {app: zipkin}, ports: [{port: 80, targetPort: 9411}]}}`,
			"http://zipkin.obs.svc.cluster.local:9411", "", "http://zipkin.obs.svc.cluster.local:9411/health"},
		{"a gateway answers for itself",
			`{metadata: {name: loki, namespace: obs}, spec: {selector: {app: loki, component: gateway}, ports: [{port: 80}]}}`,
			"http://loki.obs.svc.cluster.local:80", "", "http://loki.obs.svc.cluster.local:80/"},
		{"an ECK cluster speaks TLS, unless its port says http",
			`{metadata: {name: es, namespace: obs}, spec: {selector: {elasticsearch.k8s.elastic.co/cluster-name: x}, ports: [{port: 9200}]}}`,
			"https://es.obs.svc.cluster.local:9200", "", "https://es.obs.svc.cluster.local:9200/_cluster/health"},
		{"and says exactly that",
			`{metadata: {name: kb, namespace: obs}, spec: {selector: {common.k8s.elastic.co/type: kibana}, ports: [{name: kibana-http, port: 5601}]}}`,
			"https://kb.obs.svc.cluster.local:5601", "", "https://kb.obs.svc.cluster.local:5601/api/status"},
		{"as here",
			`{metadata: {name: kb, namespace: obs}, spec: {selector: {common.k8s.elastic.co/type: kibana}, ports: [{name: http, port: 5601}]}}`,
			"http://kb.obs.svc.cluster.local:5601", "", "http://kb.obs.svc.cluster.local:5601/api/status"},
		{"or by its protocol",
			`{metadata: {name: kb, namespace: obs}, spec: {selector: {common.k8s.elastic.co/type: kibana}, ports: [{port: 5601, appProtocol: http}]}}`,
			"http://kb.obs.svc.cluster.local:5601", "", "http://kb.obs.svc.cluster.local:5601/api/status"},
		{"OpenShift's OAuth proxy speaks TLS",
			`{metadata: {name: grafana, namespace: obs}, spec: {selector: {app: grafana}, ports: [{name: oauth-proxy, port: 9443}]}}`,
			"https://grafana.obs.svc.cluster.local:9443", "", "https://grafana.obs.svc.cluster.local:9443/api/health"},
		{"whose certificate is not that of the port beside it",
			`{metadata: {name: am, namespace: obs, annotations: {service.beta.openshift.io/serving-cert-secret-name: x}}, spec: {selector: {alertmanager: x}, ports: [{name: web, port: 9093}, {name: oauth-proxy, port: 9095}]}}`,
			"http://am.obs.svc.cluster.local:9093", "", "http://am.obs.svc.cluster.local:9093/-/healthy"},
		{"the only port of a Service that is nothing else",
			`{metadata: {name: x, namespace: obs}, spec: {selector: {app: prometheus}, ports: [{port: 30090}]}}`,
			"http://x.obs.svc.cluster.local:30090", "", "http://x.obs.svc.cluster.local:30090/-/healthy"},
		{"the pods of a headless Service listen at their own port, which a name hides",
			`{metadata: {name: zipkin, namespace: obs}, spec: {clusterIP: None, selector: {app: zipkin}, ports: [{port: 80, targetPort: http}]}}`,
			"http://zipkin.obs.svc.cluster.local:9411", "", "http://zipkin.obs.svc.cluster.local:9411/health"},
		{"also over TLS",
			`{metadata: {name: kibana, namespace: obs}, spec: {clusterIP: None, selector: {app: kibana}, ports: [{name: https, port: 443, targetPort: web}]}}`,
			"https://kibana.obs.svc.cluster.local:5601", "", "https://kibana.obs.svc.cluster.local:5601/api/status"},
		{"and at the Service's if that can be theirs",
			`{metadata: {name: mimir, namespace: obs}, spec: {clusterIP: None, selector: {app: mimir}, ports: [{name: http-metrics, port: 8080, targetPort: http-metrics}]}}`,
			"http://mimir.obs.svc.cluster.local:8080", "/prometheus", "http://mimir.obs.svc.cluster.local:8080/ready"},
		{"gateway is the name of the instance, not what it is",
			`{metadata: {name: gateway-loki, namespace: obs}, spec: {selector: {app: loki, app.kubernetes.io/instance: gateway}, ports: [{port: 3100}]}}`,
			"http://gateway-loki.obs.svc.cluster.local:3100", "", "http://gateway-loki.obs.svc.cluster.local:3100/ready"},
		{"Argo CD's server redirects to TLS",
			`{metadata: {name: argocd-server, namespace: obs}, spec: {selector: {app.kubernetes.io/name: argocd-server}, ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8080}]}}`,
			"https://argocd-server.obs.svc.cluster.local:443", "/api/v1", "https://argocd-server.obs.svc.cluster.local:443/healthz"},
		{"Argo CD without TLS has only one port",
			`{metadata: {name: argocd-server, namespace: obs}, spec: {selector: {app.kubernetes.io/name: argocd-server}, ports: [{name: http, port: 80, targetPort: 8080}]}}`,
			"http://argocd-server.obs.svc.cluster.local:80", "/api/v1", "http://argocd-server.obs.svc.cluster.local:80/healthz"},
		{"Kiali lives below its own path",
			`{metadata: {name: kiali, namespace: obs}, spec: {selector: {app: kiali}, ports: [{port: 20001}]}}`,
			"http://kiali.obs.svc.cluster.local:20001", "/kiali/api", "http://kiali.obs.svc.cluster.local:20001/kiali/healthz"},
		{"the certificate of an external Service is for its own name",
			`{metadata: {name: grafana, namespace: obs}, spec: {type: ExternalName, externalName: grafana.example.com., ports: [{port: 443}]}}`,
			"https://grafana.example.com:443", "", "https://grafana.example.com:443/api/health"},
		{"unless that is no name",
			`{metadata: {name: kibana, namespace: obs}, spec: {type: ExternalName, externalName: "a;b", ports: [{name: https, port: 5601}]}}`,
			"https://kibana.obs.svc.cluster.local:5601", "", "https://kibana.obs.svc.cluster.local:5601/api/status"},
		{"an external Service keeps its cluster name",
			`{metadata: {name: prometheus, namespace: obs}, spec: {type: ExternalName, externalName: prometheus.example.com, ports: [{port: 9090}]}}`,
			"http://prometheus.obs.svc.cluster.local:9090", "", "http://prometheus.obs.svc.cluster.local:9090/-/healthy"},
	} {
		b := Default().Identify(parse(t, c.manifest), Options{}).Backend
		if b == nil {
			t.Errorf("%s: not recognised", c.what)
		} else if b.Endpoint != c.endpoint || b.APIPath != c.apiPath || b.Probe.URL+b.Probe.Address != c.probe {
			t.Errorf("%s:\ngot  %s %s %+v\nwant %s %s %s", c.what, b.Endpoint, b.APIPath, b.Probe, c.endpoint, c.apiPath, c.probe)
		}
	}
}

// Which word decides if there are several known ones.
func TestLastAndLongestWordDecides(t *testing.T) {
	for _, c := range []struct{ manifest, want string }{
		{`{metadata: {name: tempo-query}, spec: {selector: {app: tempo-query}, ports: [{port: 16686}, {port: 3200}]}}`, "jaeger"},
		{`{metadata: {name: tempo-query-frontend}, spec: {selector: {app: tempo-query-frontend}, ports: [{port: 16686}, {port: 3200}]}}`, "tempo"},
		{`{metadata: {name: x}, spec: {selector: {app: tempo, component: query-frontend}, ports: [{port: 16686}, {port: 3200}]}}`, "tempo"},
		{`{metadata: {name: prometheus-operator-prometheus}, spec: {selector: {app: x-prometheus}, ports: [{port: 9090}]}}`, "prometheus"},
		// The selector names two kinds: the name tells which is meant.
		{`{metadata: {name: loki}, spec: {selector: {app: loki-grafana}, ports: [{port: 3100}]}}`, "loki"},
		{`{metadata: {name: grafana}, spec: {selector: {app: grafana-loki}, ports: [{port: 3000}]}}`, "grafana"},
		// A port that proves a kind counts if the named kind has no port here.
		{`{metadata: {name: x}, spec: {selector: {app.kubernetes.io/name: loki-exporter}, ports: [{port: 5672}, {port: 15672}]}}`, "rabbitmq"},
		{`{metadata: {name: x}, spec: {selector: {app: team}, ports: [{name: grafana, port: 3000}]}}`, "grafana"},
		// Or a kind that the same value names before, by more than one word.
		{`{metadata: {name: x}, spec: {selector: {app: otel-collector-kafka}, ports: [{port: 4317}]}}`, "otel-collector"},
		{`{metadata: {name: otel-collector-service-prometheus}, spec: {ports: [{port: 4318}]}}`, "otel-collector"},
		// If kinds share a weak name, the port decides.
		{`{metadata: {name: query-frontend}, spec: {selector: {name: query-frontend}, ports: [{name: query-frontend-http-metrics, port: 3100}]}}`, "loki"},
		{`{metadata: {name: query-frontend}, spec: {selector: {app: query-frontend}, ports: [{name: prom-metrics, port: 3200}, {port: 16686}]}}`, "tempo"},
		{`{metadata: {name: query-frontend}, spec: {selector: {app: query-frontend}, ports: [{name: grpc, port: 10901}, {name: http, port: 10902}]}}`, "thanos-query"},
		{`{metadata: {name: query-frontend}, spec: {selector: {app: query-frontend}, ports: [{port: 3100}, {port: 16686}]}}`, "tempo"},
		// A word may be in between, or "server" be joined to it.
		{`{metadata: {name: x}, spec: {selector: {app: thanos-receive-query}, ports: [{port: 10902}]}}`, "thanos-query"},
		{`{metadata: {name: thanos-eu-querier}, spec: {ports: [{port: 10902}]}}`, "thanos-query"},
		{`{metadata: {name: influxsrv}, spec: {ports: [{port: 8086}]}}`, "influxdb"},
		{`{metadata: {name: x}, spec: {selector: {app: zipkinserver}, ports: [{port: 80}]}}`, "zipkin"},
		// Words before it count less than words after it.
		{`{metadata: {name: x}, spec: {selector: {app: elasticsearch, role: database}, ports: [{port: 9200}]}}`, "elasticsearch"},
		{`{metadata: {name: elasticsearch-operator}, spec: {selector: {app: elasticsearch}, ports: [{port: 9200}]}}`, "elasticsearch"},
		{`{metadata: {name: x-loki-query-frontend}, spec: {selector: {component: query-frontend}, ports: [{name: metrics, port: 3100}]}}`, "loki"},
		{`{metadata: {name: x}, spec: {type: ExternalName, externalName: prometheus.example.com, ports: [{port: 80}]}}`, "prometheus"},
		// The chart counts last, and must name the kind alone.
		{`{metadata: {name: x}, spec: {selector: {app: logs-master, chart: elasticsearch}, ports: [{port: 9200}]}}`, "elasticsearch"},
		{`{metadata: {name: x, labels: {helm.sh/chart: loki-6.1.0}}, spec: {selector: {app: x}, ports: [{port: 3100}]}}`, "loki"},
		// Of two query ports, the first in the rule.
		{`{metadata: {name: thanos-query}, spec: {selector: {app: thanos-query}, ports: [{port: 9090}, {port: 10902}]}}`, "thanos-query"},
	} {
		b := Default().Identify(parse(t, c.manifest), Options{}).Backend
		if b == nil || b.Type != c.want {
			t.Errorf("%s: got %+v, want %s", c.manifest, b, c.want)
		} else if c.want == "thanos-query" && !strings.HasSuffix(b.Endpoint, ":10902") {
			t.Errorf("%s: got %s", c.manifest, b.Endpoint)
		}
	}
}

// What is reused for the next Service must hold nothing of the one before.
func TestIdentifyForgets(t *testing.T) {
	first := parse(t, `{metadata: {name: shop}, spec: {selector: {prometheus: x, app: shop}, ports: [{port: 9090}]}}`)
	second := parse(t, `{metadata: {name: shop-prometheus}, spec: {ports: [{name: metrics, port: 9090}]}}`)
	for range 10 {
		Default().Identify(first, Options{})
		if b := Default().Identify(second, Options{}).Backend; b == nil || len(b.Evidence) != 2 {
			t.Fatalf("got %+v", b)
		}
	}
}

// Near matches are refused, with the evidence that contradicts.
func TestRejected(t *testing.T) {
	for _, c := range []struct{ manifest, reason string }{
		{`{metadata: {name: prometheus-operator}, spec: {selector: {app: prometheus-operator}, ports: [{port: 9090}]}}`,
			`looks like prometheus, but "operator" in its selector says that it is something else`},
		{`{metadata: {name: zipkin}, spec: {selector: {app: jaeger}, ports: [{name: http-query, port: 9411}]}}`,
			`looks like jaeger, but none of its ports is one at which jaeger answers queries`},
		{`{metadata: {name: prometheus-operated}, spec: {selector: {app: gmp}, ports: [{port: 9090, targetPort: 19090}]}}`,
			`looks like prometheus, but only its name says so, and port 9090 could be anything`},
		{`{metadata: {name: shop-prometheus}, spec: {selector: {app: shop}, ports: [{port: 9090}]}}`,
			`looks like prometheus, but its selector says that it is a part of something else, perhaps its prometheus metrics`},
		{`{metadata: {name: prometheus}, spec: {selector: {app: shop}, ports: [{name: metrics, port: 9090}]}}`,
			`looks like prometheus, but it selects something else, and its port is called "metrics"`},
		{`{metadata: {name: grafana-sync}, spec: {selector: {app: grafana-loader-x}, ports: [{port: 80}]}}`,
			`looks like grafana, but "loader" in its selector says that it is something else`},
		{`{metadata: {name: grafana-extra}, spec: {selector: {app: grafana-extra}, ports: [{port: 80}]}}`,
			`looks like grafana, but its labels say something more, and port 80 could be anything`},
		{`{metadata: {name: x, labels: {app: grafana}}, spec: {ports: [{port: 80}]}}`,
			`looks like grafana, but only its labels say so, and port 80 could be anything`},
		{`{metadata: {name: rabbitmq}, spec: {selector: {app: rabbitmq}, ports: [{port: 5672}]}}`,
			`looks like rabbitmq, but none of its ports is one at which rabbitmq answers queries`},
		{`{metadata: {name: kafka}, spec: {selector: {app: kafka}, ports: [{port: 9092, protocol: UDP}]}}`,
			`looks like kafka, but none of its ports is one at which kafka answers queries`},
		{`{metadata: {name: shop}, spec: {selector: {app: shop}, ports: [{port: 9090}]}}`, ""},
		{`{metadata: {name: loki}, spec: {selector: {app: loki, component: distributor}, ports: [{port: 3100}]}}`,
			`looks like loki, but "distributor" in its selector says that it is something else`},
		{`{metadata: {name: x}, spec: {selector: {app: kibana, component: exporter}, ports: [{port: 5601}]}}`,
			`looks like kibana, but "exporter" in its selector says that it is something else`},
		{`{metadata: {name: x}, spec: {selector: {app: kibana-db}, ports: [{port: 5601}]}}`,
			`looks like kibana, but "db" in its selector says that it is something else`},
		{`{metadata: {name: traces-collector}, spec: {ports: [{name: grpc-otlp, port: 4317}, {name: c-tchan-trft, port: 14267}]}}`,
			`looks like otel-collector, but port 14267 says that it is something else`},
		{`{metadata: {name: shop-prom}, spec: {selector: {app: shop}, ports: [{name: prometheus, port: 9090}]}}`,
			`looks like prometheus, but it selects something else, and its port is called "prometheus"`},
		{`{metadata: {name: query-frontend}, spec: {selector: {app: query-frontend}, ports: [{port: 8080}, {name: metrics, port: 9090}]}}`,
			`looks like thanos-query, but its name may mean other things, and its port is called "metrics"`},
		{`{metadata: {name: query-frontend}, spec: {selector: {app: query-frontend}, ports: [{port: 80}]}}`, ""},
		{`{metadata: {name: x}, spec: {selector: {app: otel-collector-jaeger}, ports: [{port: 4317}]}}`,
			`looks like jaeger, but none of its ports is one at which jaeger answers queries`},
		{`{metadata: {name: x}, spec: {selector: {app: loki-kafka}, ports: [{port: 3100}]}}`,
			`looks like kafka, but none of its ports is one at which kafka answers queries`},
		{`{metadata: {name: observer}, spec: {selector: {app: promserver-exporter}, ports: [{port: 9090}]}}`,
			`looks like prometheus, but "exporter" in its selector says that it is something else`},
		{`{metadata: {name: argocd-server}, spec: {selector: {app: shop}, ports: [{name: https, port: 8080}]}}`,
			`looks like argocd, but it selects something else, and port 8080 could be anything`},
		{`{metadata: {name: x, labels: {helm.sh/chart: kube-prometheus-stack-61.3.0}}, spec: {selector: {app: shop}, ports: [{port: 9090}]}}`, ""},
		{`{metadata: {name: x, labels: {helm.sh/chart: loki-6.1.0}}, spec: {selector: {app: x-exporter}, ports: [{port: 3100}]}}`,
			`looks like loki, but "exporter" in its selector says that it is something else`},
		{`{metadata: {name: x}, spec: {selector: {app: prometheus}, ports: [{port: 9100}]}}`,
			`looks like prometheus, but none of its ports is one at which prometheus answers queries`},
		{`{metadata: {name: x}, spec: {selector: {app: grafana}, ports: [{name: http, port: 3001}, {name: web, port: 3002}]}}`,
			`looks like grafana, but none of its ports is one at which grafana answers queries`},
		{`{metadata: {name: Prometheus_1}, spec: {selector: {app: prometheus}, ports: [{port: 9090}]}}`,
			`its name or namespace is not a DNS label`},
	} {
		res := Default().Identify(parse(t, c.manifest), Options{})
		if res.Backend != nil || res.Rejected != c.reason {
			t.Errorf("%s\ngot  %+v %q\nwant %q", c.manifest, res.Backend, res.Rejected, c.reason)
		}
	}
}

// The random order of Go's maps must not matter.
func TestIdentifyIsDeterministic(t *testing.T) {
	svc := parse(t, `
metadata:
  name: grafana
  labels: {app: prometheus, app.kubernetes.io/name: loki, component: tempo, k8s-app: mimir, run: kafka, name: jaeger, service: zipkin, role: kibana}
spec:
  selector: {a: prometheus, b: grafana, c: loki, d: tempo, e: mimir, f: zipkin, g: kibana, h: jaeger, i: kafka, prometheus: x, alertmanager: y}
  ports: [{port: 3000}, {port: 9090}, {port: 3100}, {port: 3200}, {port: 9009}, {port: 9411}, {port: 5601}, {port: 16686}, {port: 9092}]
`)
	want := Default().Identify(svc, Options{})
	for range 200 {
		clone := svc.DeepCopy() // has maps in another order
		if got := Default().Identify(clone, Options{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, before %+v", got.Backend, want.Backend)
		}
	}
}

// Each built-in kind is complete, as agents are told about all of them.
func TestBuiltinKinds(t *testing.T) {
	want := strings.Fields("alertmanager argocd elasticsearch grafana influxdb jaeger kafka kiali kibana loki mcp mimir opensearch otel-collector " +
		"prometheus pyroscope quickwit rabbitmq tempo thanos-query victorialogs victoriametrics zipkin")
	if got := Default().Types(); !slices.Equal(got, want) {
		t.Errorf("the built-in kinds are %v, want %v", got, want)
	}
	for _, k := range Default().kinds {
		if !strings.HasSuffix(k.description, ".") || k.health.probe == service.ProbeHTTP && !slices.Contains(k.health.acceptStatus, 401) {
			t.Errorf("%s: description %q, health %+v", k.typ, k.description, k.health)
		}
	}
}
