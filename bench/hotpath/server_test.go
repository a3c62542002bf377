package hotpath

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/shutdown"
	"kubernaut.io/dynamic-toolset/transport"
)

// newCatalogue returns a catalogue with 100 toolsets, like that of package transport's
// benchmarks.
func newCatalogue() *catalogue.Catalogue {
	c := catalogue.New(func(s *corev1.Service) *service.Backend {
		return &service.Backend{Key: service.Key{Namespace: s.Namespace, Name: s.Name}, Name: s.Name, Type: "prometheus", Enabled: true, Primary: s.Name == "p99",
			Endpoint: "http://" + s.Name, Labels: map[string]string{"app": "prometheus"}}
	}, nil)
	var all []*corev1.Service
	for i := range 100 {
		all = append(all, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns-%d", i%10), Name: fmt.Sprintf("p%d", i)}})
	}
	c.Replace(all)
	c.Build()
	return c
}

// everybody is a Reviewer that accepts all tokens and allows everything. The benchmarks
// measure how a decision is remembered, not how it is made.
type everybody struct{}

func (everybody) Authenticate(context.Context, string) (*auth.Identity, error) {
	return &auth.Identity{Name: "system:serviceaccount:agents:holmesgpt"}, nil
}
func (everybody) Authorize(context.Context, *auth.Identity, auth.Action) (bool, error) {
	return true, nil
}

// The networks on which a server can listen.
const (
	memory = "memory"
	tcp    = "tcp"
)

// A dialer opens connections to a server.
type dialer func() (net.Conn, error)

// listen returns a listener on a network, and how to connect to it.
func listen(tb testing.TB, network string) (net.Listener, dialer) {
	tb.Helper()
	if network == memory {
		l := fasthttputil.NewInmemoryListener()
		return l, l.Dial
	}
	// The server itself listens without multipath TCP, too.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }
}

// serveToolset starts the whole server until the end of the test. With authorized it has
// authentication and a rate limit, which nobody reaches.
func serveToolset(tb testing.TB, network string, authorized bool) dialer {
	tb.Helper()
	l, dial := listen(tb, network)
	o := transport.Options{
		Listener: l, MetricsListen: "127.0.0.1:0", ServedBy: "dynamic-toolset-5d8f9c7b6-x2x4z", Catalogue: newCatalogue(),
		Status:   func() transport.Status { return transport.Status{} },
		Discover: func(context.Context) error { return nil },
	}
	if authorized {
		o.Auth = &transport.Auth{Reviewer: everybody{}, Metrics: true}
		o.RateLimit = transport.RateLimit{PerSecond: 1_000_000, Burst: 1_000_000}
	}
	s, err := transport.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stop := shutdown.New(shutdown.Options{Server: s, Components: []shutdown.Component{
			{Name: "background", Close: s.CloseBackground}, {Name: "metrics", Close: s.CloseMetrics}}})
		if err := stop.Run(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return dial
}

// serveBare starts a fasthttp server with its defaults until the end of the test. It answers
// one path in the simplest way, with the header of toolset and with body.
func serveBare(tb testing.TB, network string, what lookup, toolset *http.Response, body []byte) dialer {
	tb.Helper()
	l, dial := listen(tb, network)
	path, _, _ := strings.Cut(what.path, "?")
	fields := map[string][]byte{}
	for name := range toolset.Header {
		if name != "Date" && name != "Server" && name != "Content-Length" && name != "Content-Type" { // fasthttp sends these itself
			fields[name] = []byte(toolset.Header.Get(name))
		}
	}
	type field struct{ name, value []byte }
	var list []field // in a fixed order, unlike the map
	for _, name := range []string{"X-Request-Id", "Cache-Control", "Vary", "Etag", "Content-Encoding", "X-Served-By"} {
		if value, ok := fields[name]; ok {
			list = append(list, field{[]byte(name), value})
			delete(fields, name)
		}
	}
	if len(fields) > 0 {
		tb.Fatalf("the bare server does not know the fields %v", fields)
	}
	tag, any := []byte(toolset.Header.Get("Etag")), []byte("*")
	s := &fasthttp.Server{
		Name: "dynamic-toolset",
		Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) != path {
				ctx.SetStatusCode(fasthttp.StatusNotFound)
				return
			}
			for i := range list {
				ctx.Response.Header.SetBytesKV(list[i].name, list[i].value)
			}
			if known := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); bytes.Equal(known, any) || bytes.Equal(known, tag) {
				ctx.SetStatusCode(fasthttp.StatusNotModified)
				return
			}
			ctx.SetContentType("application/json")
			ctx.Response.SetBodyRaw(body)
		},
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	tb.Cleanup(func() {
		// Without Shutdown, which would wait. The clients close their connections.
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
		<-served
	})
	return dial
}
