package detect

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// This file finds what helps to choose the primary of a type, and which Services are one
// back end. It plays no part in the recognition.

// Labels with the product that a Service is part of, and the release that made it.
const partOfLabel = "app.kubernetes.io/part-of"

var (
	releaseLabels = []string{"app.kubernetes.io/instance", "release"}
	chartLabels   = []string{"helm.sh/chart", "chart"}
)

// Words in namespaces, releases and other names. They only order the back ends of one type:
// if every namespace is called test, none is worse for it.
var (
	// clusterWords say that something observes the cluster.
	clusterWords = set("monitoring", "monitor", "observability", "observe", "o11y", "obs", "metrics", "telemetry", "logging", "logs", "log",
		"tracing", "traces", "trace", "apm", "alerting", "prom", "kps", "platform", "infra", "infrastructure", "shared", "central", "cluster", "system")
	// bundlingWords are products that bring back ends for their own use, and words for what
	// belongs to a team or is for trying out.
	bundlingWords = set("kubecost", "opencost", "cost", "finops", "istio", "linkerd", "knative", "kubeflow", "gitlab", "sentry", "harbor", "airflow",
		"jenkins", "keptn", "rook", "ceph", "longhorn", "temporal", "litmus", "chaos", "seldon", "kiali", "signoz", "netdata", "posthog", "superset",
		"kubeshark", "goldilocks", "robusta", "sonarqube", "backstage", "jitsi", "supabase",
		"demo", "demos", "example", "examples", "sample", "samples", "tutorial", "playground", "sandbox", "poc", "test", "tests", "testing", "e2e",
		"qa", "staging", "stage", "preview", "dev", "develop", "development", "tmp", "temp", "scratch", "loadtest", "benchmark",
		"team", "tenant", "customer", "user", "workload", "bundled", "embedded")
	// productWords are observability products.
	productWords = set("prometheus", "alertmanager", "grafana", "loki", "tempo", "mimir", "lgtm", "thanos", "cortex", "victoriametrics", "victoria",
		"vm", "vmsingle", "vmcluster", "victorialogs", "elastic", "elasticsearch", "opensearch", "kibana", "elk", "efk", "eck", "es", "jaeger", "zipkin",
		"otel", "opentelemetry", "kafka", "strimzi", "rabbitmq", "pyroscope", "influxdb", "quickwit")
	// ownWords are the names of queues, which are not observability products. Together with
	// the name of such a product, as in mimir-kafka, a queue is part of it.
	ownWords = map[string]map[string]bool{"kafka": set("kafka", "strimzi"), "rabbitmq": set("rabbitmq")}
	// neutralWords may come with them in the name of a release.
	neutralWords = set("kube", "k8s", "kubernetes", "stack", "server", "the", "my", "main", "prod", "production", "default", "release", "operator", "db")
)

// Words for the role of a server among several: a front end answers queries by asking the
// parts. The words depend on the kind: "data" is a part of Elasticsearch, but just a word
// in the name of a Prometheus.
var (
	anyFront = set("gateway", "frontend", "queryfrontend", "proxy")
	// gatewayKinds are systems whose gateway takes requests of every kind, and their query
	// front end only some.
	gatewayKinds = set("loki", "tempo", "mimir", "pyroscope")
	anyPart      = set("headless", "internal", "replica", "replicas", "shard", "discovery", "peer", "gossip", "memberlist")

	searchRoles = roles{
		front: set("coordinator", "coordinating", "client"),
		part:  set("master", "masters", "data", "ingest", "node", "nodes", "hot", "warm", "cold", "frozen", "ml", "transform"),
	}
	grafanaRoles = roles{
		part: set("querier", "read", "reader", "write", "writer", "backend", "ingester", "distributor", "compactor", "ruler", "store", "scheduler", "index"),
	}
	kindRoles = map[string]roles{
		"elasticsearch": searchRoles, "opensearch": searchRoles, "quickwit": searchRoles,
		"loki": grafanaRoles, "tempo": grafanaRoles, "mimir": grafanaRoles, "pyroscope": grafanaRoles,
		"victoriametrics": {front: set("vmselect", "select"), part: set("vmstorage", "vminsert", "storage", "insert")},
		"victorialogs":    {front: set("vlselect", "select"), part: set("vlstorage", "vlinsert", "storage", "insert")},
		"kafka":           {front: set("bootstrap"), part: set("broker", "brokers", "controller", "controllers")},
		"jaeger":          {front: set("query"), part: set("collector", "agent")},
	}
)

type roles struct{ front, part map[string]bool }

func set(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// standing returns how well svc represents its type.
func standing(svc *corev1.Service, kind string, front bool) service.Standing {
	s := service.Standing{Role: role(svc, kind, front), Headless: isHeadless(svc)}
	s.Scope, s.ScopeOf = scope(svc, kind)
	return s
}

// scope returns for whom svc is there, and the word that says so.
func scope(svc *corev1.Service, kind string) (service.Scope, string) {
	var owners []string
	for _, k := range releaseLabels {
		owners = append(owners, svc.Labels[k], svc.Spec.Selector[k])
	}
	for _, v := range append(owners, svc.Labels[partOfLabel], svc.Namespace, svc.Labels[chartLabels[0]], svc.Labels[chartLabels[1]], svc.Name) {
		if w := wordOf(v, bundlingWords); w != "" {
			return service.ScopeBundled, w
		}
	}
	if own := ownWords[kind]; own != nil {
		for _, v := range append(owners, svc.Labels[partOfLabel], svc.Name) {
			for w := range parts(v) {
				if productWords[w] && !own[w] {
					return service.ScopeBundled, w
				}
			}
		}
	}
	if v := svc.Labels[partOfLabel]; v != "" {
		// This is explicit, more than sharing a namespace.
		owners = []string{v}
	} else {
		owners = append(owners, svc.Namespace)
	}
	for _, v := range owners {
		if wordOf(v, clusterWords) != "" || isOnly(v, kind) {
			return service.ScopeCluster, v
		}
	}
	for _, k := range chartLabels { // a chart of one product may be part of anything; a stack is not
		if v := svc.Labels[k]; isOnly(v, kind) && strings.Contains(v, "-stack") {
			return service.ScopeCluster, v
		}
	}
	return service.ScopeUnknown, ""
}

// wordOf returns the first word of value that is in words.
func wordOf(value string, words map[string]bool) string {
	for w := range parts(value) {
		if words[w] {
			return w
		}
	}
	return ""
}

// isOnly reports whether value names nothing but observability products, like the release
// or the namespace of an installation of its own.
func isOnly(value, kind string) bool {
	own := false
	for w := range parts(value) {
		switch {
		case productWords[w] || slices.Contains(strings.Split(kind, "-"), w):
			own = true
		case !neutralWords[w] && !isNumber(w):
			return false
		}
	}
	return own
}

// parts yields the words of value.
func parts(value string) func(yield func(string) bool) {
	return strings.FieldsFuncSeq(strings.ToLower(value), func(c rune) bool { return c == '-' || c == '.' || c == '_' || c == '/' })
}

func isNumber(w string) bool {
	return strings.TrimFunc(w, func(c rune) bool { return c >= '0' && c <= '9' || c == 'v' }) == ""
}

// role returns the role of svc among several servers. Its component label says it, else the
// words after the kind in its name: api-gateway-prometheus is no gateway.
func role(svc *corev1.Service, kind string, front bool) service.Role {
	for k := range svc.Spec.Selector {
		if k == "statefulset.kubernetes.io/pod-name" || k == "apps.kubernetes.io/pod-index" {
			return service.RolePart
		}
	}
	for _, labels := range []map[string]string{svc.Spec.Selector, svc.Labels} {
		for _, k := range []string{"app.kubernetes.io/component", "component"} {
			if r := roleOf(labels[k], kind); r != service.RoleServer {
				return r
			}
		}
	}
	if r := roleOf(svc.Name, kind); r != service.RoleServer || !front {
		return r
	}
	return service.RoleFrontEnd
}

// roleOf returns the role that the last meaningful word of value gives.
func roleOf(value, kind string) service.Role {
	of, found, before := kindRoles[kind], service.RoleServer, ""
	for w := range parts(value) {
		switch {
		case w == "gateway" && (before == "index" || before == "store" || before == "bloom"): // a gateway to storage
			found = service.RolePart
		case w == "gateway" && gatewayKinds[kind]:
			found = service.RoleGateway
		case anyFront[w] || of.front[w]:
			found = service.RoleFrontEnd
		case anyPart[w] || of.part[w]:
			found = service.RolePart
		case slices.Contains(strings.Split(kind, "-"), w):
			found = service.RoleServer
		}
		before = w
	}
	return found
}

func isHeadless(svc *corev1.Service) bool {
	return svc.Spec.ClusterIP == corev1.ClusterIPNone && svc.Spec.Type != corev1.ServiceTypeExternalName
}

// podsOf returns which pods answer at a port of svc; nil if that is unknown, or if its
// endpoint is elsewhere.
func podsOf(svc *corev1.Service, port *corev1.ServicePort, elsewhere bool) *service.Pods {
	if port == nil || elsewhere || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	p := &service.Pods{
		Selector: svc.Spec.Selector, Port: targetNumber(port), PortName: port.TargetPort.StrVal, ServicePort: port.Port,
		Headless: isHeadless(svc), Operated: isOperated(svc),
	}
	switch svc.Spec.Type {
	case corev1.ServiceTypeNodePort:
		p.Exposure = service.ExposedOnNodes
	case corev1.ServiceTypeLoadBalancer:
		p.Exposure = service.ExposedByLoadBalancer
	}
	return p
}

// isOperated reports whether an operator made svc for its own use, as the Prometheus
// operator does.
func isOperated(svc *corev1.Service) bool {
	if strings.HasSuffix(svc.Name, "-operated") {
		return true
	}
	for k, v := range svc.Labels {
		if strings.HasPrefix(k, "operated-") && v == "true" {
			return true
		}
	}
	return false
}
