package detect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/service"
)

// annotated returns a Service app in namespace n that no rule recognises, with annotations
// given as key, value, ... without prefix.
func annotated(ports string, kv ...string) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "n", Annotations: map[string]string{}}}
	for i := 0; i+1 < len(kv); i += 2 {
		svc.Annotations[annotationPrefix+kv[i]] = kv[i+1]
	}
	for _, p := range strings.Fields(ports) {
		var sp corev1.ServicePort
		name, number, _ := strings.Cut(p, ":")
		fmt.Sscan(number, &sp.Port) //nolint:errcheck // of a test's own table
		sp.Name, sp.TargetPort = name, intstr.FromInt32(sp.Port)
		svc.Spec.Ports = append(svc.Spec.Ports, sp)
	}
	return svc
}

// prometheus returns a Service that a rule recognises.
func prometheus(kv ...string) *corev1.Service {
	svc := annotated("web:9090", kv...)
	svc.Spec.Selector = map[string]string{"app": "prometheus"}
	return svc
}

func summary(res Result) string {
	var b strings.Builder
	if k := res.Backend; k != nil {
		fmt.Fprintf(&b, "%s %s %s%s", k.Type, k.Name, k.Endpoint, k.APIPath)
		if k.Probe.Kind == service.ProbeTCP {
			fmt.Fprintf(&b, " tcp %s", k.Probe.Address)
		} else {
			fmt.Fprintf(&b, " get %s", k.Probe.URL)
		}
		if k.Primary {
			b.WriteString(" primary")
		}
	} else {
		b.WriteString("none")
	}
	for _, p := range res.Problems {
		fmt.Fprintf(&b, " !%s", strings.TrimPrefix(p.Field, annotationPrefix))
	}
	return b.String()
}

func TestAnnotations(t *testing.T) {
	const app, in9090 = "http://app.n.svc.cluster.local", "http://app.n.svc.cluster.local:9090"
	for _, c := range []struct {
		what string
		svc  *corev1.Service
		want string
	}{
		{"declared", annotated("http:8080", "toolset", "true"), "custom app " + app + ":8080 tcp app.n.svc.cluster.local:8080"},
		{"declared, the other word", annotated("http:8080", "toolset", "enabled"), "custom app " + app + ":8080 tcp app.n.svc.cluster.local:8080"},
		{"all of them", annotated("http:8080", "toolset", "true", "toolset-type", "runbooks", "toolset-name", "incident.runbooks",
			"toolset-endpoint", "HTTPS://Runbooks.Example.COM:8443/api/", "toolset-health-path", "/live", "toolset-primary", "true"),
			"runbooks incident.runbooks https://runbooks.example.com:8443/api get https://runbooks.example.com:8443/api/live primary"},
		{"a health URL", annotated("http:8080", "toolset", "true", "health-endpoint", "http://127.0.0.1:8081/ready/"),
			"custom app " + app + ":8080 get http://127.0.0.1:8081/ready/"},
		{"the health path has priority", annotated("http:8080", "toolset", "true", "health-endpoint", "/a", "toolset-health-path", "/b"),
			"custom app " + app + ":8080 get " + app + ":8080/b"},
		{"a known type", annotated("x:1234 web:9009", "toolset", "true", "toolset-type", "mimir"),
			"mimir app " + app + ":9009/prometheus get " + app + ":9009/ready"},
		{"a known type, elsewhere, with a path", annotated("x:1234", "toolset", "true", "toolset-type", "mimir", "toolset-endpoint", "http://m/tenant"),
			"mimir app http://m/tenant get http://m/ready"},
		{"an address gets the scheme's port", annotated("", "toolset", "true", "toolset-endpoint", "https://[::1]"),
			"custom app https://[::1] tcp [::1]:443"},
		{"a health path of something that has no HTTP", annotated("client:9092", "toolset", "true", "toolset-type", "kafka", "toolset-health-path", "/h"),
			"kafka app tcp://app.n.svc.cluster.local:9092 get " + app + ":9092/h"},

		{"off", prometheus("toolset", "false"), "none"},
		{"off, the other word", prometheus("toolset", "disabled"), "none"},
		{"refined", prometheus("toolset-name", "main", "toolset-health-path", "/up"), "prometheus main " + in9090 + " get " + in9090 + "/up"},
		{"of another type", prometheus("toolset-type", "custom"), "custom app " + in9090 + " tcp app.n.svc.cluster.local:9090"},
		{"a wrong word leaves it as it is", prometheus("toolset", "yes"), "prometheus app " + in9090 + " get " + in9090 + "/-/healthy !toolset"},
		{"one wrong part of the connection spoils the rest of it, not the name",
			prometheus("toolset-type", "loki", "toolset-endpoint", "ftp://x", "toolset-name", "main"),
			"prometheus main " + in9090 + " get " + in9090 + "/-/healthy !toolset-endpoint"},
		{"a wrong name", prometheus("toolset-name", "Main"), "prometheus app " + in9090 + " get " + in9090 + "/-/healthy !toolset-name"},

		{"nothing declares it", annotated("http:8080", "toolset-name", "x"), "none !toolset"},
		{"wrong, and nothing else says what it is", annotated("http:8080", "toolset", "true", "toolset-type", "A"), "none !toolset-type"},
		{"no port", annotated("", "toolset", "true"), "none !toolset-endpoint"},
		{"everything wrong", annotated("http:8080", "toolset", "true", "toolset-name", "", "toolset-primary", "1", "toolset-description", "a\nb",
			"toolset-health-path", "up", "health-endpoint", "tcp://x"),
			"none !health-endpoint !toolset-description !toolset-health-path !toolset-name !toolset-primary"},
		{"somebody else's annotation", annotated("http:8080", "other", "x"), "none"},
	} {
		if got := summary(Default().Identify(c.svc, Options{})); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.what, got, c.want)
		}
	}
}

// What is misspelt, or a label instead of an annotation, is told. Annotations of other
// programs with the same prefix are not.
func TestUnreadAnnotations(t *testing.T) {
	svc := annotated("http:8080", "toolset-typ", "loki", "tolset", "true", "toolset-colour", "red", "other", "x", "investigation-window", "1h", "toolset-name", "x")
	svc.Annotations["example.com/toolset-typ"] = "x"
	svc.Labels = map[string]string{annotationPrefix + "toolset": "true", annotationPrefix + "team": "a"}
	var got []string
	for _, p := range Default().Identify(svc, Options{}).Unread {
		got = append(got, strings.TrimPrefix(p.Field, annotationPrefix)+" "+p.Message)
	}
	const unknown = "is not known and does nothing"
	want := []string{"tolset " + unknown + "; did you mean kubernaut.io/toolset?", "toolset " + labelProblem, "toolset-colour " + unknown, "toolset-typ " + unknown + "; did you mean kubernaut.io/toolset-type?"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i := range 1000 {
		svc.Annotations[fmt.Sprintf("%stoolset-typ%03d", annotationPrefix, i)] = "x"
	}
	if n := len(Default().Identify(svc, Options{}).Unread); n != maxUnread {
		t.Errorf("a Service has %d, want %d", n, maxUnread)
	}
}

// How agents connect may be annotated, but for what could make an agent send its secrets.
func TestAnnotationsOfAConnection(t *testing.T) {
	res := Default().Identify(prometheus("toolset-tenant", "a|b", "toolset-tls-verify", "false", "toolset-external-url", "https://P.example.com/"), Options{})
	skip := true
	if want := (&service.Connection{Tenant: "a|b", SkipVerify: &skip, ExternalURL: "https://p.example.com"}); len(res.Problems) > 0 || !res.Backend.Connection.Equal(want) {
		t.Errorf("got %+v %v", res.Backend.Connection, res.Problems)
	}
	if c := Default().Identify(prometheus("toolset-api-key-env", "AWS_SECRET_ACCESS_KEY"), Options{}).Backend.Connection; c != nil {
		t.Errorf("got %+v", c)
	}
	res = Default().Identify(prometheus("toolset-tenant", "{{ env.HOME }}", "toolset-tls-verify", "no", "toolset-external-url", "javascript:alert(1)"), Options{})
	if s := summary(res); !strings.HasSuffix(s, " !toolset-external-url !toolset-tenant !toolset-tls-verify") || res.Backend.Connection != nil {
		t.Errorf("got %s, %+v", s, res.Backend.Connection)
	}
}

func TestMostHTTPPort(t *testing.T) {
	for ports, want := range map[string]string{
		"grpc:9000 http:7777":            "7777",
		"metrics:9090 api:7000":          "7000",
		"http-metrics:9090 http:8123":    "8123",
		"a:7001 b:7002":                  "7001", // of several with equal points, the first
		"a:7001 b:8080":                  "8080",
		"admin:8080 main:7000":           "7000",
		"tcp-redis:6379 grpc-query:9095": "9095",
		"https:443 http:80":              "443",
	} {
		b := Default().Identify(annotated(ports, "toolset", "true"), Options{}).Backend
		if b == nil || !strings.HasSuffix(b.Endpoint, ":"+want) {
			t.Errorf("%s: got %+v, want port %s", ports, b, want)
		}
	}
}
