package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/shutdown"
	"kubernaut.io/dynamic-toolset/transport"
)

// fasthttp's worker pool sleeps once more, for at most 10 s, before it notices that it
// was stopped, and its clock never stops. No goroutine of ours may be left.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// A fixture is the real server on real sockets, with a catalogue that recognises Services
// by their label "kind".
type fixture struct {
	t         *testing.T
	server    *stoppable
	catalogue *catalogue.Catalogue
	logs      *observer.ObservedLogs
	// URLs of the ports; https if the server uses TLS.
	url, metricsURL string
	tls             *tls.Config // of clients; nil: plain HTTP
}

// options are those of the server and of its shutdown.
type options struct {
	transport.Options
	PropagationDelay, DrainTimeout time.Duration
	CloseResources                 func(context.Context) error
}

// A stoppable is a server with the sequence that stops it.
type stoppable struct {
	*transport.Server
	sequence *shutdown.Sequence
}

func (s *stoppable) Shutdown(ctx context.Context) error         { return s.sequence.Run(ctx) }
func (s *stoppable) WaitForSignal(signals <-chan os.Signal) int { return s.sequence.Wait(signals) }

func newStoppable(s *transport.Server, o options) *stoppable {
	components := []shutdown.Component{{Name: "background", Close: s.CloseBackground}, {Name: "metrics", Close: s.CloseMetrics}}
	if o.CloseResources != nil {
		components = slices.Insert(components, 1, shutdown.Component{Name: "resources", Close: o.CloseResources})
	}
	return &stoppable{s, shutdown.New(shutdown.Options{
		Server: s, PropagationDelay: o.PropagationDelay, DrainTimeout: o.DrainTimeout, Components: components, Log: o.Log,
	})}
}

func identify(svc *corev1.Service) *service.Backend {
	kind := svc.Labels["kind"]
	if kind == "" {
		return nil
	}
	endpoint := fmt.Sprintf("http://%s.%s.svc.cluster.local:80", svc.Name, svc.Namespace)
	var pods *service.Pods
	if len(svc.Spec.Selector) > 0 {
		pods = &service.Pods{Selector: svc.Spec.Selector, Port: 80, ServicePort: 80, Headless: svc.Spec.ClusterIP == "None"}
	}
	return &service.Backend{
		Pods: pods,
		Key:  service.Key{Namespace: svc.Namespace, Name: svc.Name}, Name: svc.Name, Type: kind,
		Enabled: svc.Labels["off"] == "", Primary: svc.Annotations["primary"] != "", Endpoint: endpoint, Description: kind + " in " + svc.Namespace, Labels: svc.Labels,
		Probe: service.Probe{Kind: service.ProbeHTTP, URL: endpoint + "/health"},
	}
}

func svc(namespace, name, kind string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"kind": kind}}}
}

// start runs a server; change may alter its options. It is stopped at the end
// of the test.
func start(t *testing.T, change func(*options)) *fixture {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c := catalogue.New(identify, nil)
	ctx, cancel := context.WithCancel(context.Background())
	built := make(chan struct{})
	go func() { defer close(built); c.Run(ctx) }()
	c.Replace([]*corev1.Service{
		svc("monitoring", "prometheus", "prometheus"), svc("monitoring", "grafana", "grafana"),
		svc("team-a", "shared", "custom"), svc("team-b", "shared", "custom"),
	})
	c.Build()
	o := options{DrainTimeout: 10 * time.Second, Options: transport.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", Catalogue: c, Log: zap.New(core), Version: "test",
		Status:    func() transport.Status { return transport.Status{} },
		IdleGrace: 300 * time.Millisecond,
		Discover:  func(context.Context) error { return nil },
		EventLoop: withEventLoop(t),
	}}
	if overTLS(t) {
		o.TLSCertFile, o.TLSKeyFile = authority().Issue(t, nil).Mount(t, t.TempDir())
	}
	if change != nil {
		change(&o)
	}
	plain, err := transport.New(o.Options)
	if err != nil {
		t.Fatal(err)
	}
	s := newStoppable(plain, o)
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, server: s, catalogue: c, logs: logs, url: "http://" + s.Addr(), metricsURL: "http://" + s.MetricsAddr()}
	if o.TLSCertFile != "" {
		f.tls = &tls.Config{RootCAs: authority().Pool, ServerName: "localhost"}
		f.url, f.metricsURL = "https://"+s.Addr(), "https://"+s.MetricsAddr()
	}
	t.Cleanup(func() {
		s.Shutdown(context.Background()) //nolint:errcheck // tests that care have called it
		cancel()
		<-built
	})
	return f
}

// response is a response that was read completely.
type response struct {
	*http.Response
	body []byte
}

func (r *response) String() string {
	return fmt.Sprintf("%s %v %s", r.Status, r.Header, r.body)
}

// do sends one request on a connection of its own.
func (f *fixture) do(method, path, body string, header ...string) *response {
	f.t.Helper()
	r, err := send(f.url, method, path, body, header...)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func send(url, method, path, body string, header ...string) (*response, error) {
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: &tls.Config{RootCAs: authority().Pool}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: testenv.Patience}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(resp.Body)
	return &response{resp, b}, err
}

// document is a problem document with all members that one may have.
type document struct {
	Type      string
	Title     string
	Status    int
	Detail    string
	Instance  string
	RequestID string `json:"request_id"`
	Errors    []problem.FieldError
}

// wantProblem checks that r is a complete problem document of a type.
func wantProblem(t *testing.T, r *response, status int, name string) document {
	t.Helper()
	if r.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", r.StatusCode, status, r)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("Content-Type %q: %s", ct, r)
	}
	var d document
	dec := json.NewDecoder(strings.NewReader(string(r.body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("not a problem document: %v: %s", err, r)
	}
	if d.Type != "https://kubernaut.io/errors/"+name || d.Status != status || d.Title == "" || d.Detail == "" || d.Instance == "" {
		t.Fatalf("incomplete or wrong document: %s", r)
	}
	if d.RequestID == "" || d.RequestID != r.Header.Get("X-Request-Id") {
		t.Fatalf("request_id %q, header %q", d.RequestID, r.Header.Get("X-Request-Id"))
	}
	return d
}

// rawConn is a client that controls every byte.
type rawClient struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (f *fixture) dial() *rawClient {
	f.t.Helper()
	c, err := net.Dial("tcp", f.server.Addr())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() }) //nolint:errcheck // the end of a test
	if err := c.SetDeadline(time.Now().Add(testenv.Patience)); err != nil {
		f.t.Fatal(err)
	}
	if f.tls != nil {
		session := tls.Client(c, f.tls)
		if err := session.Handshake(); err != nil {
			f.t.Fatal(err)
		}
		c = session
	}
	return &rawClient{f.t, c, bufio.NewReader(c)}
}

func (c *rawClient) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read reads one response; method matters for HEAD.
func (c *rawClient) read() *response {
	c.t.Helper()
	r, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	return r
}

func (c *rawClient) tryRead() (*response, error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	return &response{resp, b}, err
}

const getReady = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
const getList = "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n"
