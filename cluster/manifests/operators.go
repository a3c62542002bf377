package manifests

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

// This file knows which pods operators make from their custom resources: with which labels,
// images and ports. It follows the operators' source, which is named at each. Labels that
// follow from a version or a setting of the operator itself are left out: a Service that
// selects by them is one for which there is no evidence.

// operators has a function for each group and kind. It returns the workloads that the
// operator makes, without their Kind.
var operators = map[string]func(*customResource) []service.Workload{
	"monitoring.coreos.com Prometheus":           prometheus,
	"monitoring.coreos.com Alertmanager":         alertmanager,
	"grafana.integreatly.org Grafana":            grafana,
	"jaegertracing.io Jaeger":                    jaeger,
	"opentelemetry.io OpenTelemetryCollector":    otelCollector,
	"tempo.grafana.com TempoStack":               tempoStack,
	"tempo.grafana.com TempoMonolithic":          tempoMonolithic,
	"loki.grafana.com LokiStack":                 lokiStack,
	"elasticsearch.k8s.elastic.co Elasticsearch": elasticsearch,
	"kibana.k8s.elastic.co Kibana":               kibana,
	"opensearch.opster.io OpenSearchCluster":     openSearch,
	"opensearch.org OpenSearchCluster":           openSearch,
	"operator.victoriametrics.com VMSingle":      vmSingle,
	"operator.victoriametrics.com VMCluster":     vmCluster,
	"kafka.strimzi.io Kafka":                     kafka,
	"rabbitmq.com RabbitmqCluster":               rabbitmq,
}

// A customResource is an object of an operator.
type customResource struct {
	Metadata objectMeta     `json:"metadata"`
	Spec     map[string]any `json:"spec"`
}

// text returns the text at a path of fields in the spec; empty if there is none.
func (o *customResource) text(path ...string) string {
	s, _ := o.field(path...).(string)
	return s
}

// port returns the number of a port at a path; 0 if there is none.
func (o *customResource) port(path ...string) int {
	if n, ok := o.field(path...).(int64); ok && n > 0 && n <= 65535 {
		return int(n)
	}
	return 0
}

func (o *customResource) isTrue(path ...string) bool {
	b, _ := o.field(path...).(bool)
	return b
}

func (o *customResource) field(path ...string) any {
	var at any = o.Spec
	for _, name := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[name]
	}
	return at
}

// labels returns the map of texts at a path.
func (o *customResource) labels(path ...string) map[string]string {
	m, _ := o.field(path...).(map[string]any)
	out := map[string]string{}
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// containers returns the list of containers at a path, which are added to those of the
// operator, or change them.
func (o *customResource) containers(path ...string) (list []container) {
	raw, err := json.Marshal(o.field(path...))
	if err == nil {
		_ = json.Unmarshal(raw, &list) // else it has none that can be used
	}
	return list
}

// image returns the image at a path, or the operator's own, with the version in the spec if
// there is one.
func (o *customResource) image(own, version string, path ...string) string {
	if image := o.text(path...); image != "" {
		return image
	}
	if version != "" {
		return own + ":" + version
	}
	return own
}

// one returns the only workload of o.
func (o *customResource) one(labels map[string]string, c ...service.Container) []service.Workload {
	return []service.Workload{{Key: o.Metadata.key(), Labels: labels, Containers: c}}
}

// part returns one of several workloads of o.
func (o *customResource) part(name string, labels map[string]string, c ...service.Container) service.Workload {
	return service.Workload{Key: o.Metadata.key(), Part: name, Labels: labels, Containers: c}
}

func appLabels(name, instance, manager string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance, "app.kubernetes.io/managed-by": manager}
}

// with returns those containers that a spec adds, after the operator's.
func with(own service.Container, name string, added []container) []service.Container {
	all := []service.Container{own}
	for i, c := range containers(added) {
		if added[i].Name != name {
			all = append(all, c)
		} else if c.Image != "" {
			all[0].Image = c.Image // a patch of the operator's container
		}
	}
	return all
}

// prometheus-operator/prometheus-operator, pkg/prometheus/server/statefulset.go
func prometheus(o *customResource) []service.Workload {
	name := o.Metadata.Name
	labels := merged(o.labels("podMetadata", "labels"), appLabels("prometheus", name, "prometheus-operator"),
		map[string]string{"prometheus": name, "operator.prometheus.io/name": name, "operator.prometheus.io/shard": "0"})
	own := service.Container{Image: o.image("quay.io/prometheus/prometheus", o.text("version"), "image"), Prefix: cluster.CleanPrefix(o.text("routePrefix"))}
	if !o.isTrue("listenLocal") {
		own.Ports = portsOf(cmp.Or(o.text("portName"), "web"), 9090)
	}
	all := with(own, "prometheus", o.containers("containers"))
	if o.field("thanos") != nil {
		all = append(all, service.Container{Image: o.image("quay.io/thanos/thanos", o.text("thanos", "version"), "thanos", "image"),
			Ports: portsOf("http", 10902, "grpc", 10901)})
	}
	return o.one(labels, all...)
}

// prometheus-operator/prometheus-operator, pkg/alertmanager/statefulset.go
func alertmanager(o *customResource) []service.Workload {
	name := o.Metadata.Name
	labels := merged(o.labels("podMetadata", "labels"), appLabels("alertmanager", name, "prometheus-operator"), map[string]string{"alertmanager": name})
	own := service.Container{Image: o.image("quay.io/prometheus/alertmanager", o.text("version"), "image"), Ports: portsOf("mesh-tcp", 9094),
		Prefix: cluster.CleanPrefix(o.text("routePrefix"))}
	if !o.isTrue("listenLocal") {
		own.Ports = append(own.Ports, portsOf(cmp.Or(o.text("portName"), "web"), 9093)...)
	}
	return o.one(labels, with(own, "alertmanager", o.containers("containers"))...)
}

// grafana/grafana-operator, controllers/reconcilers/grafana/deployment_reconciler.go
func grafana(o *customResource) []service.Workload {
	template := []string{"deployment", "spec", "template"}
	labels := merged(o.labels(append(template, "metadata", "labels")...), map[string]string{"app": o.Metadata.Name})
	image := "docker.io/grafana/grafana"
	if v := o.text("version"); strings.Contains(v, "/") || strings.Contains(v, ":") {
		image = v // a whole image
	} else if v != "" {
		image += ":" + v
	}
	own := service.Container{Image: image, Ports: portsOf("grafana-http", 3000), Prefix: cluster.PathPrefix(nil, nil, func(name string) string {
		return o.text("config", "server", strings.ToLower(strings.TrimPrefix(name, "GF_SERVER_")))
	})}
	return o.one(labels, with(own, "grafana", o.containers(append(template, "spec", "containers")...))...)
}

// jaegertracing/jaeger-operator, pkg/deployment/all_in_one.go, query.go
func jaeger(o *customResource) []service.Workload {
	name, component, image := o.Metadata.Name, "all-in-one", o.image("jaegertracing/all-in-one", "", "allInOne", "image")
	switch strings.ToLower(o.text("strategy")) {
	case "production", "streaming":
		name, component, image = name+"-query", "query", o.image("jaegertracing/jaeger-query", "", "query", "image")
	}
	labels := merged(o.labels("labels"), appLabels(name, o.Metadata.Name, "jaeger-operator"),
		map[string]string{"app": "jaeger", "app.kubernetes.io/component": component, "app.kubernetes.io/part-of": "jaeger"})
	return o.one(labels, service.Container{Image: image, Ports: portsOf("query", 16686)})
}

// open-telemetry/opentelemetry-operator, internal/manifests/manifestutils/labels.go
func otelCollector(o *customResource) []service.Workload {
	if o.text("mode") == "sidecar" {
		return nil // in the pods of others
	}
	labels := merged(o.Metadata.Labels)
	if labels["app.kubernetes.io/name"] == "" {
		labels["app.kubernetes.io/name"] = o.Metadata.Name + "-collector"
	}
	labels = merged(labels, map[string]string{
		"app.kubernetes.io/managed-by": "opentelemetry-operator", "app.kubernetes.io/part-of": "opentelemetry",
		"app.kubernetes.io/component": "opentelemetry-collector", "app.kubernetes.io/instance": o.Metadata.Namespace + "." + o.Metadata.Name,
	})
	own := service.Container{Image: o.image("ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector", "", "image")}
	return o.one(labels, own) // its ports follow from its configuration
}

// grafana/tempo-operator, internal/manifests/manifestutils, queryfrontend
func tempoStack(o *customResource) (all []service.Workload) {
	labels := appLabels("tempo", o.Metadata.Name, "tempo-operator")
	image := o.image("docker.io/grafana/tempo", "", "images", "tempo")
	for _, component := range []string{"distributor", "ingester", "querier", "compactor", "query-frontend"} {
		c := []service.Container{{Image: image, Ports: portsOf("http", 3200)}}
		if component == "query-frontend" && o.isTrue("template", "queryFrontend", "jaegerQuery", "enabled") {
			c = append(c, service.Container{Image: o.image("docker.io/grafana/tempo-query", "", "images", "tempoQuery"), Ports: portsOf("jaeger-ui", 16686)})
		}
		all = append(all, o.part(component, merged(labels, map[string]string{"app.kubernetes.io/component": component}), c...))
	}
	if o.isTrue("template", "gateway", "enabled") {
		all = append(all, o.part("gateway", merged(labels, map[string]string{"app.kubernetes.io/component": "gateway"}),
			service.Container{Image: o.image("quay.io/observatorium/api", "", "images", "tempoGateway"), Ports: portsOf("public", 8080)}))
	}
	return all
}

// grafana/tempo-operator, internal/manifests/monolithic/statefulset.go
func tempoMonolithic(o *customResource) []service.Workload {
	labels := merged(appLabels("tempo-monolithic", o.Metadata.Name, "tempo-operator"), map[string]string{"app.kubernetes.io/component": "tempo"})
	c := []service.Container{{Image: "docker.io/grafana/tempo", Ports: portsOf("http", 3200)}}
	if o.isTrue("jaegerui", "enabled") {
		c = append(c, service.Container{Image: "docker.io/grafana/tempo-query", Ports: portsOf("jaeger-ui", 16686)})
	}
	return o.one(labels, c...)
}

// grafana/loki, operator/internal/manifests/var.go
func lokiStack(o *customResource) (all []service.Workload) {
	labels := merged(appLabels("lokistack", o.Metadata.Name, "lokistack-controller"), map[string]string{"app.kubernetes.io/created-by": "lokistack-controller"})
	for _, component := range []string{"distributor", "ingester", "querier", "compactor", "index-gateway", "ruler", "query-frontend"} {
		all = append(all, o.part(component, merged(labels, map[string]string{"app.kubernetes.io/component": component}),
			service.Container{Image: "docker.io/grafana/loki", Ports: portsOf("metrics", 3100)}))
	}
	return append(all, o.part("gateway", merged(labels, map[string]string{"app.kubernetes.io/component": "lokistack-gateway"}),
		service.Container{Image: "quay.io/observatorium/api", Ports: portsOf("public", 8080, "metrics", 8081)}))
}

// elastic/cloud-on-k8s, pkg/controller/elasticsearch/label
func elasticsearch(o *customResource) []service.Workload {
	labels := map[string]string{"common.k8s.elastic.co/type": "elasticsearch", "elasticsearch.k8s.elastic.co/cluster-name": o.Metadata.Name}
	return o.one(labels, service.Container{Image: o.image("docker.elastic.co/elasticsearch/elasticsearch", o.text("version"), "image"),
		Ports: portsOf("https", 9200, "transport", 9300)})
}

// elastic/cloud-on-k8s, pkg/controller/kibana/label
func kibana(o *customResource) []service.Workload {
	labels := merged(o.labels("podTemplate", "metadata", "labels"), map[string]string{"common.k8s.elastic.co/type": "kibana", "kibana.k8s.elastic.co/name": o.Metadata.Name})
	return o.one(labels, service.Container{Image: o.image("docker.elastic.co/kibana/kibana", o.text("version"), "image"), Ports: portsOf("https", 5601)})
}

// opensearch-project/opensearch-k8s-operator, pkg/builders/cluster.go, dashboards.go: the
// first label is that of version 2, the second that of version 3
func openSearch(o *customResource) []service.Workload {
	name := o.Metadata.Name
	all := o.one(map[string]string{"opster.io/opensearch-cluster": name, "opensearch.org/opensearch-cluster": name},
		service.Container{Image: o.image("docker.io/opensearchproject/opensearch", o.text("general", "version"), "general", "image"),
			Ports: portsOf("http", 9200, "transport", 9300)})
	if o.isTrue("dashboards", "enable") {
		all = append(all, o.part("dashboards", merged(o.labels("dashboards", "labels"), map[string]string{"opensearch.cluster.dashboards": name}),
			service.Container{Image: o.image("docker.io/opensearchproject/opensearch-dashboards", o.text("dashboards", "version"), "dashboards", "image"),
				Ports: portsOf("http", 5601)}))
	}
	return all
}

// vmLabels are those of VictoriaMetrics/operator, api/operator/v1beta1.
func vmLabels(name, instance string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance,
		"app.kubernetes.io/component": "monitoring", "managed-by": "vm-operator"}
}

// vmImage returns the image that the spec at a path gives, or the operator's.
func (o *customResource) vmImage(own string, path ...string) string {
	at := append(path, "image")
	own = cmp.Or(o.text(append(at, "repository")...), own)
	return o.image(own, o.text(append(at, "tag")...))
}

func vmSingle(o *customResource) []service.Workload {
	port := 8428
	if p := decimal(o.text("port")); p != 0 {
		port = p
	}
	return o.one(merged(o.labels("podMetadata", "labels"), vmLabels("vmsingle", o.Metadata.Name)),
		service.Container{Image: o.vmImage("victoriametrics/victoria-metrics"), Ports: portsOf("http", port), Prefix: cluster.CleanPrefix(o.text("extraArgs", "http.pathPrefix"))})
}

func vmCluster(o *customResource) (all []service.Workload) {
	for _, part := range []struct {
		name string
		port int
	}{{"vmselect", 8481}, {"vminsert", 8480}, {"vmstorage", 8482}} {
		if o.field(part.name) != nil {
			all = append(all, o.part(part.name, merged(o.labels(part.name, "podMetadata", "labels"), vmLabels(part.name, o.Metadata.Name)),
				service.Container{Image: o.vmImage("victoriametrics/"+part.name, part.name), Ports: portsOf("http", part.port),
					Prefix: cluster.CleanPrefix(o.text(part.name, "extraArgs", "http.pathPrefix"))}))
		}
	}
	return all
}

// decimal returns the number that s is; 0 if it is none of a port.
func decimal(s string) (n int) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 6553 {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// strimzi/strimzi-kafka-operator, operator-common/.../model/Labels.java
func kafka(o *customResource) []service.Workload {
	name := o.Metadata.Name
	labels := merged(o.labels("kafka", "template", "pod", "metadata", "labels"), appLabels("kafka", name, "strimzi-cluster-operator"), map[string]string{
		"app.kubernetes.io/part-of": "strimzi-" + name, "strimzi.io/cluster": name, "strimzi.io/kind": "Kafka", "strimzi.io/name": name + "-kafka",
		"strimzi.io/component-type": "kafka", "strimzi.io/broker-role": "true",
	})
	c := service.Container{Image: o.image("quay.io/strimzi/kafka", "", "kafka", "image"), Ports: portsOf("tcp-replication", 9091)}
	listeners, _ := o.field("kafka", "listeners").([]any)
	for _, l := range listeners {
		at := customResource{}
		if at.Spec, _ = l.(map[string]any); at.text("name") != "" {
			c.Ports = append(c.Ports, portsOf("tcp-"+at.text("name"), at.port("port"))...)
		}
	}
	return o.one(labels, c)
}

// rabbitmq/cluster-operator, internal/metadata/label.go
func rabbitmq(o *customResource) []service.Workload {
	labels := map[string]string{"app.kubernetes.io/name": o.Metadata.Name, "app.kubernetes.io/component": "rabbitmq", "app.kubernetes.io/part-of": "rabbitmq"}
	for k, v := range o.Metadata.Labels {
		if !strings.HasPrefix(k, "app.kubernetes.io") {
			labels[k] = v
		}
	}
	return o.one(labels, service.Container{Image: o.image("docker.io/library/rabbitmq", "", "image"),
		Ports: portsOf("amqp", 5672, "management", 15672, "prometheus", 15692)})
}
