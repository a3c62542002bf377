package detect

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// For any rules file, Load returns rules that work, or an error that names the file.
func FuzzLoad(f *testing.F) {
	f.Add(string(rulesYAML))
	f.Add(ownKind)
	f.Add("kinds: [{type: grafana, disabled: true}]")
	f.Add("kinds: [&a {type: a}, *a]\n---\n")
	f.Add("kinds: &a [*a]")
	svc := annotated("web:9090")
	f.Fuzz(func(t *testing.T, file string) {
		r, err := Load([]byte(file), "own.yaml")
		switch {
		case err == nil:
			r.Identify(svc, Options{})
		case r != nil:
			t.Error("rules and an error")
		default:
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "own.yaml") {
					t.Errorf("an error without the file's name: %q", line)
				}
			}
		}
	})
}

// For any Service, the result is the same each time, and an endpoint is a URL without
// characters that mean something to a shell. An explanation says the same, and its changes
// have the effect that they promise.
func FuzzIdentify(f *testing.F) {
	f.Add("prometheus", "ns", "app", "prometheus", "web", "web", int32(9090), "true", "custom", "n", "http://h:1/p", "/health", "text")
	f.Add("es-http", "", "elasticsearch.k8s.elastic.co/cluster-name", "x", "https", "", int32(9200), "", "", "", "", "", "")
	f.Add("kafka", "a", "strimzi.io/name", "my-kafka", "tcp-clients", "9092", int32(9092), "enabled", "kafka", "", "", "/x", "")
	f.Add("x", "y", "z", "A1b2C3--..", "", "", int32(-1), "false", "$(id)", "..", "http://u@h/#", "../..", "\x00\u202e")
	f.Add("grafana", "y", "chart", "loki-6.1", "https", "", int32(443), "", "ExternalName", "", "", "", "grafana.example.com")
	f.Add("zipkin", "y", "app", "zipkin", "http", "http", int32(80), "", "", "", "", "", "None")
	f.Fuzz(func(t *testing.T, name, namespace, key, val, portName, target string, number int32, toolset, typ, as, endpoint, health, text string) {
		svc := &corev1.Service{}
		svc.Name, svc.Namespace = name, namespace
		svc.Labels = map[string]string{key: val, "app": portName}
		svc.Spec.Selector = map[string]string{key: val, target: name}
		svc.Spec.Ports = []corev1.ServicePort{
			{Name: portName, Port: number, TargetPort: intstr.Parse(target), AppProtocol: &val},
			{Name: target, Port: number / 2, Protocol: corev1.Protocol(typ)},
		}
		if typ == string(corev1.ServiceTypeExternalName) {
			svc.Spec.Type, svc.Spec.ExternalName = corev1.ServiceTypeExternalName, text
		}
		svc.Spec.ClusterIP = text
		svc.Annotations = map[string]string{}
		for k, v := range map[string]string{AnnotationToolset: toolset, AnnotationType: typ, AnnotationName: as, AnnotationEndpoint: endpoint,
			AnnotationHealthPath: health, AnnotationHealthEndpoint: endpoint, AnnotationDescription: text, AnnotationPrimary: toolset} {
			if v != "" {
				svc.Annotations[k] = v
			}
		}
		before, _ := json.Marshal(svc)
		res := Default().Identify(svc, Options{})
		if again := Default().Identify(svc.DeepCopy(), Options{}); !reflect.DeepEqual(withoutAdopt(res), withoutAdopt(again)) {
			t.Errorf("two answers:\n%+v\n%+v", res, again)
		}
		checkExplanation(t, name, svc)
		if after, _ := json.Marshal(svc); string(after) != string(before) {
			t.Error("Identify changed the Service")
		}
		for _, p := range res.Problems {
			if !strings.HasPrefix(p.Field, annotationPrefix) || p.Message == "" {
				t.Errorf("problem %+v", p)
			}
		}
		if res.Backend != nil {
			checkBackend(t, res.Backend)
		}
	})
}

// withoutAdopt returns res without the function of its candidate.
func withoutAdopt(res Result) Result {
	if res.Candidate != nil {
		b, c := *res.Candidate, *res.Candidate.Candidate
		c.Adopt, b.Candidate, res.Candidate = nil, &c, &b
	}
	return res
}

func checkBackend(t *testing.T, b *service.Backend) {
	t.Helper()
	safe := func(s string) bool {
		return !strings.ContainsFunc(s, func(c rune) bool {
			return c > '~' || c <= ' ' || strings.ContainsRune("\"'`\\$&;|<>(){}*?!#%^", c)
		})
	}
	u, err := url.Parse(b.Endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !safe(b.Endpoint+b.APIPath) {
		t.Errorf("endpoint %q, API path %q: %v", b.Endpoint, b.APIPath, err)
	}
	switch u.Scheme {
	case "http", "https", "grpc", "tcp":
	default:
		t.Errorf("endpoint %q has a strange scheme", b.Endpoint)
	}
	if !endpoint.IsSubdomain(b.Name) || !endpoint.IsLabel(b.Type) || b.Description == "" || !endpoint.IsLine(b.Description) || len(b.Evidence) == 0 {
		t.Errorf("%+v", b)
	}
	switch p, err := url.Parse(b.Probe.URL); b.Probe.Kind {
	case service.ProbeHTTP:
		if err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Hostname() == "" || !safe(b.Probe.URL) {
			t.Errorf("probe %+v: %v", b.Probe, err)
		}
	case service.ProbeTCP:
		if b.Probe.URL != "" || !strings.Contains(b.Probe.Address, ":") {
			t.Errorf("probe %+v", b.Probe)
		}
	default:
		t.Errorf("probe %+v", b.Probe)
	}
}
