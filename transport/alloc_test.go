package transport

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
)

// lookups are requests that take the lookup path, with a header field.
var lookups = []struct{ name, path, header, value string }{
	{"list", "/api/v1/toolsets", "", ""},
	{"list gzip", "/api/v1/toolsets", "Accept-Encoding", "gzip"},
	{"filtered", "/api/v1/toolsets?type=prometheus&healthy=false", "", ""},
	{"filtered gzip", "/api/v1/toolsets?namespace=ns-3", "Accept-Encoding", "gzip"},
	{"by name", "/api/v1/toolsets/p7", "X-Request-ID", "mine"},
	{"by type", "/api/v1/toolsets/prometheus", "", ""}, // the primary of a hundred
	{"by type in a namespace", "/api/v1/toolsets/prometheus?namespace=ns-3", "", ""},
	{"by type gzip", "/api/v1/toolsets/prometheus", "Accept-Encoding", "gzip"},
	{"by alias", "/api/v1/toolsets/p7-headless", "", ""},
	{"by alias in a namespace", "/api/v1/toolsets/p7-headless?namespace=ns-7", "", ""},
	{"not modified", "/api/v1/toolsets", "If-None-Match", "*"},
	{"services", "/api/v1/services?type=prometheus", "", ""},
	{"document", "/api/v1/toolset", "", ""},
	{"liveness", "/health", "", ""},
	{"readiness", "/ready", "", ""},
}

func lookupServer(tb testing.TB, change ...func(*Options)) *Server {
	tb.Helper()
	c := catalogue.New(func(s *corev1.Service) *service.Backend {
		return &service.Backend{Key: service.Key{Namespace: s.Namespace, Name: s.Name}, Name: s.Name, Type: "prometheus", Enabled: true, Primary: s.Name == "p99", Pods: podsFor(s),
			Endpoint: "http://" + s.Name, Labels: map[string]string{"app": "prometheus"}}
	}, nil)
	var all []*corev1.Service
	for i := range 100 {
		all = append(all, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i%10), Name: fmt.Sprintf("p%d", i)}})
	}
	c.Replace(append(all, twin(all[7])))
	c.Build()
	o := Options{ServedBy: "dynamic-toolset-5d8f9c7b6-x2x4z", Catalogue: c, Status: func() Status { return Status{} }, Discover: func(context.Context) error { return nil }}
	for _, f := range change {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.endLife)
	return s
}

// podsFor returns the pods of a Service: those with its name, or the name of its twin.
func podsFor(s *corev1.Service) *service.Pods {
	name, headless := strings.CutSuffix(s.Name, "-headless")
	return &service.Pods{Selector: map[string]string{"app": name}, Port: 80, ServicePort: 80, Headless: headless}
}

// twin returns a headless Service for the same pods as s.
func twin(s *corev1.Service) *corev1.Service {
	s = s.DeepCopy()
	s.Name += "-headless"
	return s
}

// request returns a context that can be served again and again.
func request(path, header, value string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.SetRequestURI(path)
	req.Header.SetHost("x")
	if header != "" {
		req.Header.Set(header, value)
	}
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, nil, nil)
	return ctx
}

// A lookup allocates nothing, request identifier and metrics included.
func TestLookupsDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	s := lookupServer(t)
	for _, l := range lookups {
		ctx := request(l.path, l.header, l.value)
		n := testing.AllocsPerRun(1000, func() {
			ctx.Response.Reset()
			s.apiPort.chain.Handle(ctx)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for each lookup", l.name, n)
		}
		if code := ctx.Response.StatusCode(); code != 200 && code != 304 {
			t.Errorf("%s: status %d", l.name, code)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	s := lookupServer(b)
	for _, l := range lookups {
		b.Run(l.name, func(b *testing.B) {
			ctx := request(l.path, l.header, l.value)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				s.apiPort.chain.Handle(ctx)
			}
		})
	}
}
