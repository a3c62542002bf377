package detect

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
)

// What a candidate is asked about: kinds for which something speaks that nothing else
// explains better.
func TestHints(t *testing.T) {
	for name, c := range map[string]struct {
		svc  *corev1.Service
		pods []*service.Workload
		want string // the kinds
	}{
		"a number of two kinds":                         {svc: aService("x", "y", "http 3100"), want: "loki tempo"},
		"a number, and a name that is only an instance": {svc: aService("x", "y", "http 9200"), want: "elasticsearch opensearch"},
		// The words name a kind that has the number as well.
		"a part of Loki":                {svc: asComponent("write", aService("loki-write", "loki", "http-metrics 3100", "grpc 9095"))},
		"a part of a Loki, by its name": {svc: aService("loki-distributor", "backend", "http 3100")},
		"a part of Tempo":               {svc: asComponent("ingester", aService("t", "tempo", "http 3100"))},
		// The words name something around a kind, whose ports are its own.
		"an operator with metrics":   {svc: aService("grafana-operator", "grafana-operator", "http 9090")},
		"an exporter":                {svc: aService("kafka-exporter", "kafka-exporter", "http 8086")},
		"a port named after another": {svc: asComponent("compactor", aService("loki", "loki", "prometheus-web 1234"))},
		// What the words name is at none of the ports, and something else may be.
		"a wrong label": {svc: aService("grafana", "grafana", "web 9090"), want: "prometheus thanos-query grafana"},
		// Images say more than a number.
		"an image of another kind":   {svc: aService("x", "y", "http 3100"), pods: selected{running("d", "quay.io/thanos/thanos 3100")}, want: "thanos-query"},
		"an image of no kind":        {svc: aService("x", "y", "http 9090"), pods: selected{running("d", "memcached 9090")}},
		"an image that nobody knows": {svc: aService("x", "y", "http 9090"), pods: selected{running("d", "example.com/team/app 9090")}, want: "prometheus thanos-query"},
		"a proxy":                    {svc: aService("x", "y", "http 9090"), pods: selected{running("d", "nginx 9090")}, want: "prometheus thanos-query"},
	} {
		var workloads service.Workloads
		if c.pods != nil {
			workloads = selected(c.pods)
		}
		got := ""
		res := Default().Identify(c.svc, Options{Workloads: workloads})
		if res.Candidate != nil {
			got = strings.Join(res.Candidate.Candidate.Question.Hints, " ")
		}
		if got != c.want || res.Backend != nil {
			t.Errorf("%s: %q, want %q; %+v", name, got, c.want, res.Backend)
		}
	}
}
