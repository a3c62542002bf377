package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
)

// selected are workloads that every Service selects.
type selected []*service.Workload

func (s selected) Selected(string, map[string]string) []*service.Workload { return s }

// running returns a Deployment whose pods have these containers, each given as
// "image number/name number ...".
func running(name string, containers ...string) *service.Workload {
	w := &service.Workload{Kind: "Deployment", Key: service.Key{Namespace: "n", Name: name}, Labels: map[string]string{"pod": "label"}}
	for _, text := range containers {
		f := strings.Fields(text)
		c := service.Container{Image: f[0]}
		for _, p := range f[1:] {
			var port service.ContainerPort
			number, name, _ := strings.Cut(p, "/")
			fmt.Sscan(number, &port.Number) //nolint:errcheck // written here
			port.Name = name
			c.Ports = append(c.Ports, port)
		}
		w.Containers = append(w.Containers, c)
	}
	return w
}

// aService returns a Service with this name and selector app=NAME, and ports given as
// "name number target".
func aService(name, app string, ports ...string) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": app}}}
	for _, text := range ports {
		f := append(strings.Fields(text), "0")
		p := corev1.ServicePort{Name: f[0], TargetPort: intstr.Parse(f[2])}
		fmt.Sscan(f[1], &p.Port) //nolint:errcheck // written here
		svc.Spec.Ports = append(svc.Spec.Ports, p)
	}
	return svc
}

// asComponent adds a label to the selector of svc.
func asComponent(name string, svc *corev1.Service) *corev1.Service {
	svc.Spec.Selector["component"] = name
	return svc
}

// Which container counts, and what its image says for and against a Service.
func TestImagesOfPods(t *testing.T) {
	for name, c := range map[string]struct {
		svc  *corev1.Service
		pods []*service.Workload
		want string // the endpoint's type, scheme and port, or why not
	}{
		"only the image":                             {aService("x", "y", "http 80 3000"), selected{running("d", "grafana/grafana 3000")}, "grafana http 80"},
		"a port by name":                             {aService("x", "y", "http 80 ui"), selected{running("d", "grafana/grafana 3000/ui")}, "grafana http 80"},
		"only the image, another port, declared":     {aService("x", "y", "http 8080"), selected{running("d", "grafana/grafana 8080")}, "grafana http 8080"},
		"only the image, another port, not declared": {aService("x", "y", "http 8080"), selected{running("d", "grafana/grafana 3000")}, "which could be anything"},
		"no port is declared":                        {aService("x", "y", "http 3000"), selected{running("d", "grafana/grafana")}, "grafana http 3000"},
		"beside a helper":                            {aService("x", "y", "http 3000"), selected{running("d", "quay.io/kiwigrid/k8s-sidecar", "grafana/grafana")}, "grafana http 3000"},
		"behind a proxy in the pod":                  {aService("x", "y", "http 80 8080"), selected{running("d", "nginx 8080", "grafana/grafana 3000")}, "which could be anything"},
		"named, behind a proxy in the pod":           {aService("grafana", "grafana", "http 80 8080"), selected{running("d", "nginx 8080", "grafana/grafana 3000")}, "grafana http 80"},
		"named, behind an authenticating proxy":      {aService("prometheus", "prometheus", "https 9091"), selected{running("d", "oauth2-proxy 9091/https", "prom/prometheus 9090/web")}, "prometheus https 9091"},
		"an exporter beside it has the port":         {aService("elasticsearch", "elasticsearch", "http 9114"), selected{running("d", "elasticsearch:9 9200", "elasticsearch-exporter 9114")}, "its pods run the image elasticsearch-exporter (Deployment n/d)"},
		"an exporter beside it has another port":     {aService("x", "y", "http 9200"), selected{running("d", "elasticsearch:9 9200", "elasticsearch-exporter 9114")}, "elasticsearch http 9200"},
		"an impostor":                                {aService("prometheus", "prometheus", "web 9090"), selected{running("d", "nginx:1.29 9090")}, "its pods run the image nginx:1.29 (Deployment n/d)"},
		"an exporter with a name":                    {aService("grafana", "grafana", "http 3000"), selected{running("d", "prom/node-exporter 3000")}, "its pods run the image prom/node-exporter"},
		"only a helper":                              {aService("grafana", "grafana", "http 3000"), selected{running("d", "quay.io/oauth2-proxy/oauth2-proxy 3000")}, "grafana http 3000"},
		"an image that nobody knows":                 {aService("grafana", "grafana", "http 3000"), selected{running("d", "example.com/dashboards 3000")}, "grafana http 3000"},
		"another kind":                               {aService("prometheus", "prometheus", "web 9090 8428"), selected{running("d", "victoriametrics/victoria-metrics 8428")}, "victoriametrics http 9090"},
		"another kind, at no port of it":             {aService("prometheus", "prometheus", "web 9090"), selected{running("d", "elasticsearch:9 9200")}, "looks like elasticsearch, but none of its ports"},
		"a misleading name":                          {aService("payments-agent", "agent", "http 3000"), selected{running("d", "grafana/grafana 3000")}, "grafana http 3000"},
		"a proven port, and another image":           {aService("x", "y", "http 16686"), selected{running("d", "nginx 16686")}, "its pods run the image nginx"},
		"a gateway of the chart":                     {asComponent("gateway", aService("loki-gateway", "loki", "http 80 8080")), selected{running("d", "nginxinc/nginx-unprivileged 8080/http")}, "loki http 80"},
		"no gateway":                                 {aService("loki", "loki", "http 3100"), selected{running("d", "nginxinc/nginx-unprivileged 3100")}, "its pods run the image nginxinc/nginx-unprivileged"},
		"a part":                                     {aService("loki-distributor", "loki-distributor", "http 3100"), selected{running("d", "grafana/loki 3100")}, `"distributor" in its`},
		"a part that only the workload names":        {aService("x", "y", "http 3100"), selected{running("logs-ingester", "grafana/loki 3100")}, `"ingester" in the name or labels of its pods`},
		"one binary for all parts":                   {aService("x", "y", "http 3100"), selected{running("logs", "grafana/loki 3100")}, "loki http 3100"},
		"a part's port, by its name":                 {aService("x", "y", "http 80 1234"), selected{running("logs", "grafana/loki 1234")}, "only its image says so"},
		"one of several programs":                    {aService("x", "y", "http 10902"), selected{running("d", "thanosio/thanos 10902/http")}, "also runs other programs"},
		"one of several programs, named":             {aService("thanos-query", "y", "http 10902"), selected{running("d", "thanosio/thanos 10902/http")}, "thanos-query http 10902"},
		"another of several programs":                {aService("thanos-store", "thanos-store", "http 10902"), selected{running("d", "thanosio/thanos 10902/http")}, "also runs other programs"},
		"two workloads of one kind":                  {aService("x", "y", "http 9090"), selected{running("a", "prom/prometheus 9090"), running("b", "quay.io/prometheus/prometheus 9090")}, "prometheus http 9090"},
		"two workloads that differ":                  {aService("x", "y", "http 80"), selected{running("a", "prom/prometheus 80"), running("b", "grafana/grafana 80")}, ""},
		"two workloads, one says nothing":            {aService("x", "y", "http 3000"), selected{running("a", "example.com/x"), running("b", "grafana/grafana 3000")}, "grafana http 3000"},
		"two workloads, one is an exporter":          {aService("grafana", "grafana", "http 3000"), selected{running("a", "example.com/x 3000"), running("b", "prom/node-exporter 3000")}, "grafana http 3000"},
		"a name that differs":                        {aService("grafana", "grafana", "http 80 ui"), selected{running("a", "grafana/grafana 3000/ui"), running("b", "grafana/grafana 3001/ui")}, "grafana http 80"},
		"an absurd port":                             {aService("x", "y", "http 80 ui"), selected{running("d", "grafana/grafana 70000/ui -1/ui 3000/ui")}, "grafana http 80"},
		"no containers":                              {aService("grafana", "grafana", "http 3000"), selected{running("d")}, "grafana http 3000"},
		"no workloads":                               {aService("grafana", "grafana", "http 3000"), nil, "grafana http 3000"},
		"a hostile image":                            {aService("prometheus", "prometheus", "web 9090"), selected{running("d", "\x1b[31m/nginx:\u202e 9090")}, "its pods run the image ?[31m/nginx:???"},
	} {
		before := c.svc.DeepCopy()
		res := Default().Identify(c.svc, Options{Workloads: selected(c.pods)})
		got := res.Rejected
		if b := res.Backend; b != nil {
			scheme, rest, _ := strings.Cut(b.Endpoint, "://")
			got = b.Type + " " + scheme + " " + rest[strings.LastIndexByte(rest, ':')+1:]
		}
		if (res.Backend != nil || c.want == "") && got != c.want || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		won := ""
		for _, s := range Default().Explain(c.svc, Options{Workloads: selected(c.pods)}).Steps {
			if s.Outcome == Recognised {
				won = s.Kind
			}
		}
		if b := res.Backend; b != nil && b.Type != won || b == nil && won != "" {
			t.Errorf("%s: it is explained as %q, and is %q", name, won, got)
		}
		if !slices.EqualFunc(before.Spec.Ports, c.svc.Spec.Ports, func(a, b corev1.ServicePort) bool { return a.TargetPort == b.TargetPort }) || !maps.Equal(before.Labels, c.svc.Labels) {
			t.Errorf("%s: the Service was changed", name)
		}
	}
}

// The evidence says what the pods run, first.
func TestImageIsEvidence(t *testing.T) {
	w := running("k8s", "quay.io/prometheus/prometheus:v3.5.0 9090/web")
	w.Kind = "StatefulSet"
	b := Default().Identify(aService("prometheus", "prometheus", "web 9090 web"), Options{Workloads: selected{w}}).Backend
	if b == nil || b.Evidence[0] != "image quay.io/prometheus/prometheus:v3.5.0 of StatefulSet n/k8s" || b.Pods.Port != 9090 || b.Pods.PortName != "web" {
		t.Errorf("%+v", b)
	}
}

// An image that runs other programs as well makes a candidate, which is asked.
func TestImageMakesACandidate(t *testing.T) {
	svc := aService("x", "y", "http 80 1234")
	for image, want := range map[string]string{"quay.io/thanos/thanos 1234": "thanos-query", "nginx 1234": ""} {
		got := ""
		if c := Default().Identify(svc, Options{Workloads: selected{running("d", image)}}).Candidate; c != nil {
			got = strings.Join(c.Candidate.Question.Hints, " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

// Hostile workloads of one Service don't take the time that others need.
func TestHostileWorkloads(t *testing.T) {
	var all selected
	for i := range 100 {
		w := running(fmt.Sprint("d", i))
		for range 50 {
			c := service.Container{Image: "a/" + strings.Repeat("mirrored-linux-", 30) + "x"}
			for j := range 50 {
				c.Ports = append(c.Ports, service.ContainerPort{Name: "p", Number: int32(j + 1)})
			}
			w.Containers = append(w.Containers, c)
		}
		all = append(all, w)
	}
	svc := aService("prometheus", "prometheus", "web 9090")
	for i := range 5000 {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: int32(i + 10_000), TargetPort: intstr.FromString("q")})
	}
	if b := Default().Identify(svc, Options{Workloads: all}).Backend; b == nil || b.Type != "prometheus" {
		t.Errorf("%+v", b)
	}
	for _, svc := range []*corev1.Service{svc, aService("x", "x", "web 80")} {
		svc.Spec.Ports = append(svc.Spec.Ports, make([]corev1.ServicePort, 5000)...)
		took := time.Duration(testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				Default().Identify(svc, Options{Workloads: all})
			}
		}).NsPerOp())
		t.Logf("%s takes %v", svc.Name, took)
		if took > 2*time.Second {
			t.Errorf("%s takes %v", svc.Name, took)
		}
	}
}

// On real Services, workloads of the right image change nothing but the evidence, and those
// of an image that says nothing don't change even that.
func TestImagesOfTheCorporaAgree(t *testing.T) {
	for _, set := range sets {
		for _, l := range readLabelled(t, "testdata/"+set.dir) {
			plain := Default().Identify(l.svc, Options{})
			if len(l.svc.Spec.Selector) == 0 || plain.Backend == nil {
				continue
			}
			k := Default().byType[plain.Backend.Type]
			for _, image := range append(slices.Clone(k.images[:min(1, len(k.images))]), "example.com/who/knows") {
				got := Default().Identify(l.svc, Options{Workloads: selected{running("w", image)}})
				if got.Backend == nil || got.Backend.Type != plain.Backend.Type || got.Backend.Endpoint != plain.Backend.Endpoint {
					t.Errorf("%s/%s with %s: %+v, %s; without %s %s", set.dir, l.file, image, got.Backend, got.Rejected, plain.Backend.Type, plain.Backend.Endpoint)
				}
			}
		}
	}
}
