package problem_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/cluster/manifests"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/transport"
)

// An example is one block of a page: a request by curl, and the response as
// curl -i shows it.
type example struct {
	block    string // as it is in the page
	state    string // of the server, from the comment in front
	command  string
	response string
}

// block matches an example; a comment in front of it names the state that the
// server is in. Commands before the last one, such as kill, bring it about.
var block = regexp.MustCompile("(?:<!-- server: ([a-z ]+) -->\n\n)?```console\n(?:\\$ [^\n]*\n)*\\$ ([^\n]*)\n((?s:.*?))```")

func examples(p page) (all []example) {
	for _, m := range block.FindAllStringSubmatch(p.text, -1) {
		all = append(all, example{block: m[0], state: m[1], command: m[2], response: m[3]})
	}
	return all
}

// TestErrorExamples sends the request of every example to a real server and
// compares the response with that of the page: all of it, except what differs
// each time.
func TestErrorExamples(t *testing.T) {
	sent := details(t)
	for _, p := range pages(t) {
		found := examples(p)
		if _, isSent := sent[p.typ.Name]; isSent != (len(found) > 0) {
			t.Errorf("%s has %d examples; is its type sent by the server? %v", p.file, len(found), isSent)
		}
		for i, e := range found {
			if *update {
				p.text = strings.Replace(p.text, e.block, strings.Replace(e.block, "$ "+e.command+"\n"+e.response, "$ "+e.command+"\n"+replay(t, e), 1), 1)
				continue
			}
			t.Run(fmt.Sprintf("%s-%d", p.typ.Name, i+1), func(t *testing.T) {
				t.Parallel()
				want, got := parseResponse(t, e.response), parseResponse(t, replay(t, e))
				if !reflect.DeepEqual(got.comparable(), want.comparable()) {
					t.Errorf("%s: %s\nanswers  %v\nthe page %v", p.file, e.command, got.comparable(), want.comparable())
				}
				want.checkDocument(t, p.typ)
				got.checkDocument(t, p.typ)
			})
		}
		if *update {
			if err := os.WriteFile(p.file, []byte(p.text), 0o644); err != nil { // #nosec G306 -- documentation
				t.Fatal(err)
			}
		}
	}
}

// A shown response is what curl -i prints.
type shown struct {
	interim []string // status lines before the last, such as of 100 Continue
	status  string
	header  http.Header
	body    map[string]any
}

func parseResponse(t *testing.T, text string) *shown {
	t.Helper()
	s := &shown{}
	r := bufio.NewReader(strings.NewReader(text))
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("not a response: %v\n%s", err, text)
		}
		if resp.StatusCode < 200 {
			s.interim = append(s.interim, resp.Status)
			continue
		}
		body, err := io.ReadAll(resp.Body) // Content-Length bytes
		if err == nil {
			err = json.Unmarshal(body, &s.body)
		}
		rest, _ := io.ReadAll(r)
		if err != nil || strings.TrimSpace(string(rest)) != "" {
			t.Fatalf("the body is not JSON of the length that is stated: %v\n%s", err, text)
		}
		s.status, s.header = resp.Status, resp.Header
		if resp.Close {
			s.header.Set("Connection", "close")
		}
		return s
	}
}

// comparable returns what must be the same each time.
func (s *shown) comparable() []any {
	header, body := s.header.Clone(), map[string]any{}
	header.Del("Date")
	header.Del("X-Request-Id")
	header.Del("Content-Length") // that of a given text varies with the read timeout
	for k, v := range s.body {
		if k != "request_id" {
			body[k] = v
		}
	}
	return []any{s.interim, s.status, header, body}
}

// checkDocument holds the document against the registry and the response.
func (s *shown) checkDocument(t *testing.T, ty *problem.Type) {
	t.Helper()
	if s.body["type"] != ty.URI() || s.body["title"] != ty.Title || s.body["status"] != float64(ty.Status) {
		t.Errorf("type, title or status are not those of %s: %v", ty.Name, s.body)
	}
	if !strings.HasPrefix(s.status, fmt.Sprint(ty.Status)) || s.header.Get("Content-Type") != problem.ContentType {
		t.Errorf("%s with Content-Type %s", s.status, s.header.Get("Content-Type"))
	}
	if id := s.header.Get("X-Request-Id"); id == "" || s.body["request_id"] != id {
		t.Errorf("request_id %v, X-Request-Id %s", s.body["request_id"], id)
	}
}

// shortRead is the read timeout of the server for the example that waits for
// one; the page shows it with the default, for which no test should wait.
const shortRead = time.Second

// states maps each state that an example may name to a function that sets the options of
// its server, and returns what to do before the request (nil: nothing).
var states = map[string]func(t *testing.T, o *transport.Options) (before func(*transport.Server)){
	"": func(*testing.T, *transport.Options) func(*transport.Server) { return nil },
	"waits for the request": func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		o.Limits.ReadTimeout = shortRead
		return nil
	},
	"has a planted panic": func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		o.Generate = func(context.Context) (string, error) { panic("planted") }
		return nil
	},
	"has a second gateway": func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		second := &corev1.Service{}
		second.Namespace, second.Name = "shop", "loki-gateway"
		second.Spec.Selector = map[string]string{"app.kubernetes.io/name": "loki", "app.kubernetes.io/component": "gateway"}
		second.Annotations = map[string]string{detect.AnnotationToolset: "true", detect.AnnotationType: "loki"}
		second.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80}}
		o.Catalogue.Upsert(second)
		o.Catalogue.Build()
		return nil
	},
	"fails to discover": func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		o.Discover = func(context.Context) error { return errors.New("the folder is gone") }
		return nil
	},
	"asks for tokens": func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		o.Auth = &transport.Auth{Reviewer: nobodyMay{}}
		return nil
	},
	limitsRate: func(_ *testing.T, o *transport.Options) func(*transport.Server) {
		o.RateLimit = transport.RateLimit{PerSecond: 1, Burst: 1}
		return nil
	},
	"allows one connection": func(t *testing.T, o *transport.Options) func(*transport.Server) {
		o.Limits.MaxConnections = 1
		return func(s *transport.Server) { dial(t, s.Addr()) } // accepted before the example's connection
	},
	"allows one event stream": func(t *testing.T, o *transport.Options) func(*transport.Server) {
		o.MaxWatchers = 1
		return func(s *transport.Server) {
			watcher := dial(t, s.Addr())
			fmt.Fprint(watcher, "GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: localhost\r\n\r\n") //nolint:errcheck // the read tells
			if _, err := watcher.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	},
	"is shutting down": func(*testing.T, *transport.Options) func(*transport.Server) {
		return func(s *transport.Server) { s.Flag() } // a server that is stopping still answers
	},
}

// limitsRate is the state in which the second request of a client gets the example's
// response; on a busy machine it may take more.
const limitsRate = "limits the rate"

// nobodyMay is a Reviewer that accepts all tokens but one, and allows nothing.
type nobodyMay struct{}

func (nobodyMay) Authenticate(_ context.Context, token string) (*auth.Identity, error) {
	if token == "expired" {
		return nil, auth.ErrInvalidToken
	}
	return &auth.Identity{Name: "system:serviceaccount:agents:" + token}, nil
}

func (nobodyMay) Authorize(context.Context, *auth.Identity, auth.Action) (bool, error) {
	return false, nil
}

// replay sends the example's request to a server that serves the example
// cluster, as make run does, and returns what curl -i would show.
func replay(t *testing.T, e example) string {
	t.Helper()
	prepare, known := states[e.state]
	if !known {
		t.Fatalf("the example says that the server %q; there is only: %v", e.state, keys(states))
	}
	o := transport.Options{Catalogue: exampleCluster(t), Status: func() transport.Status { return transport.Status{} },
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", IdleGrace: 10 * time.Millisecond,
		Discover: func(context.Context) error { return nil }}
	before := prepare(t, &o)
	server, err := transport.New(o)
	if err == nil {
		err = server.Start(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Flag()
		server.Drain(100 * time.Millisecond) //nolint:errcheck // connections that are held open are cut
		if err := errors.Join(server.CloseBackground(context.Background()), server.CloseMetrics(context.Background())); err != nil {
			t.Error(err)
		}
	})
	if before != nil {
		before(server)
	}
	port, request := curlRequest(t, e.command)
	addr := server.Addr()
	if port == "9090" {
		addr = server.MetricsAddr()
	}
	response := ask(t, addr, request)
	for e.state == limitsRate && strings.HasPrefix(response, "HTTP/1.1 200") {
		response = ask(t, addr, request)
	}
	if e.state == "waits for the request" {
		long := strings.Replace(response, fmt.Sprintf("within %s of", shortRead), fmt.Sprintf("within %s of", transport.DefaultLimits.ReadTimeout), 1)
		_, was, _ := strings.Cut(response, "\r\n\r\n")
		_, is, _ := strings.Cut(long, "\r\n\r\n")
		response = strings.Replace(long, fmt.Sprintf("Content-Length: %d", len(was)), fmt.Sprintf("Content-Length: %d", len(is)), 1)
	}
	return strings.ReplaceAll(response, "\r\n", "\n") + "\n"
}

func keys(m map[string]func(*testing.T, *transport.Options) func(*transport.Server)) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// exampleCluster returns the catalogue of examples/cluster.
func exampleCluster(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	rules := detect.Default()
	c := catalogue.New(func(svc *corev1.Service) *service.Backend { return rules.Identify(svc, detect.Options{}).Backend }, nil)
	source, err := manifests.New("../examples/cluster", manifests.Options{Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { c.Run(ctx); done <- nil }()
	go func() { done <- source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
	<-source.FirstSync()
	c.Build()
	return c
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // nothing is left to be done about it
	if err := c.SetDeadline(time.Now().Add(testenv.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends request unchanged and returns the response to it, and the interim ones
// before, byte by byte.
func ask(t *testing.T, addr, request string) string {
	t.Helper()
	c := dial(t, addr)
	go io.WriteString(c, request) //nolint:errcheck // refused requests need not be taken completely; the read tells
	var raw bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		resp, err := http.ReadResponse(r, nil)
		if err == nil && resp.StatusCode >= 200 {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil {
			t.Fatalf("no response: %v; %q was received", err, raw.String())
		}
		if resp.StatusCode >= 200 {
			return raw.String()
		}
	}
}
