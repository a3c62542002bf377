package transport

import (
	"bufio"
	"fmt"
	"io"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
)

// largeServer returns a server with 10,100 toolsets in 200 namespaces.
func largeServer(tb testing.TB, changes ...func(*Options)) *Server {
	return lookupServer(tb, append(changes, func(o *Options) {
		o.Catalogue = catalogue.New(func(s *corev1.Service) *service.Backend {
			return &service.Backend{
				Key: service.Key{Namespace: s.Namespace, Name: s.Name}, Name: s.Name, Type: s.Labels["kind"], Enabled: true, Primary: s.Name == "p9999", Pods: podsFor(s),
				Endpoint: "http://" + s.Name, Labels: s.Labels,
			}
		}, nil)
		var all []*corev1.Service
		for i := range 10_100 {
			all = append(all, &corev1.Service{ObjectMeta: metav1.ObjectMeta{
				Namespace: fmt.Sprintf("ns-%d", i%200), Name: fmt.Sprintf("p%d", i), Labels: map[string]string{"kind": []string{"prometheus", "loki", "tempo"}[i%3]},
			}})
		}
		o.Catalogue.Replace(append(all, twin(all[7])))
		o.Catalogue.Build()
	})...)
}

var largeLookups = []struct{ name, path, header, value string }{
	{"list", "/api/v1/toolsets", "", ""},
	{"list gzip", "/api/v1/toolsets", "Accept-Encoding", "gzip"},
	{"not modified", "/api/v1/toolsets", "If-None-Match", "*"},
	{"by name", "/api/v1/toolsets/p7777", "", ""},
	{"by name in a namespace", "/api/v1/toolsets/p7777?namespace=ns-177", "", ""},
	{"by type", "/api/v1/toolsets/prometheus", "", ""}, // the primary of three thousand
	{"by type in a namespace", "/api/v1/toolsets/prometheus?namespace=ns-177", "", ""},
	{"by type gzip", "/api/v1/toolsets/prometheus", "Accept-Encoding", "gzip"},
	{"by alias", "/api/v1/toolsets/p7-headless", "", ""},
	{"by alias in a namespace", "/api/v1/toolsets/p7-headless?namespace=ns-7", "", ""},
	{"of one namespace", "/api/v1/toolsets?namespace=ns-7", "", ""},
	{"of one namespace gzip", "/api/v1/toolsets?namespace=ns-7", "Accept-Encoding", "gzip"},
	{"of one type", "/api/v1/services?type=loki", "", ""},
	{"page", "/api/v1/toolsets?limit=50", "", ""},
	{"page gzip", "/api/v1/services?limit=50&continue=YW5zLTUwL3A1MDUw&type=tempo", "Accept-Encoding", "gzip"},
	{"document", "/api/v1/toolset", "", ""},
}

// A lookup allocates nothing in a large cluster either, not even to send the answer.
func TestLookupsInLargeClustersDoNotAllocate(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	s := largeServer(t)
	w := bufio.NewWriter(io.Discard)
	for _, l := range largeLookups {
		ctx := request(l.path, l.header, l.value)
		n := testing.AllocsPerRun(50, func() {
			ctx.Response.Reset()
			s.apiPort.chain.Handle(ctx)
			if err := ctx.Response.Write(w); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for each lookup", l.name, n)
		}
		if code := ctx.Response.StatusCode(); code != 200 && code != 304 {
			t.Errorf("%s: status %d", l.name, code)
		}
	}
}

func BenchmarkLookupInALargeCluster(b *testing.B) {
	s := largeServer(b)
	w := bufio.NewWriter(io.Discard)
	for _, l := range largeLookups {
		b.Run(l.name, func(b *testing.B) {
			ctx := request(l.path, l.header, l.value)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				s.apiPort.chain.Handle(ctx)
				if err := ctx.Response.Write(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
