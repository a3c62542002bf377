// Package identify tests with real products that a back end is asked who it is, and
// believed, as docs/identity.md says: each product plain and under each difficulty.
package identify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/identify"
	"kubernaut.io/dynamic-toolset/service/tools"
	"kubernaut.io/dynamic-toolset/test/products"
)

// A clerk asks endpoints, one identification each.
type clerk struct {
	prober *identify.Prober
	mu     sync.Mutex
	next   int
	wait   map[service.Key]chan service.Identity
}

// newClerk starts one that waits timeout for an answer.
func newClerk(t *testing.T, timeout time.Duration) *clerk {
	t.Helper()
	c := &clerk{wait: map[service.Key]chan service.Identity{}}
	var err error
	c.prober, err = identify.New(identify.Options{
		Rules: detect.Default().Identities(), Timeout: timeout, Confirm: time.Millisecond, CandidatesPerMinute: 1e6,
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Report: func(k service.Key, id service.Identity) {
			if slices.ContainsFunc(id.Evidence, func(e string) bool { return strings.Contains(e, "asked again before that counts") }) {
				return // a refutation that is not believed yet
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			select {
			case c.wait[k] <- id:
			default: // asked again; the first answer is what counts
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.prober.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

// ask returns what the endpoint at url says that metadata call typ.
func (c *clerk) ask(t *testing.T, url, typ string, hints ...string) service.Identity {
	t.Helper()
	c.mu.Lock()
	c.next++
	k := service.Key{Namespace: "test", Name: fmt.Sprint("endpoint-", c.next)}
	got := make(chan service.Identity, 1)
	c.wait[k] = got
	c.mu.Unlock()
	c.prober.Set(k, service.Question{URLs: []string{url}, Type: typ, Hints: hints})
	defer c.prober.Remove(k)
	select {
	case id := <-got:
		return id
	case <-time.After(2 * time.Minute):
		t.Fatalf("no identity of %s within two minutes", url)
		return service.Identity{}
	}
}

// A row is a product of the matrix.
type row struct {
	software *products.Software
	auth     string // what its API wants by itself
}

var rows = []row{
	{products.Prometheus, service.AuthNone},
	{products.Prometheus3, service.AuthNone},
	{products.Alertmanager, service.AuthNone},
	{products.VictoriaMetricsOld, service.AuthNone},
	{products.VictoriaMetrics, service.AuthNone},
	{products.VMAuth, service.AuthNone},
	{products.VictoriaLogs, service.AuthNone},
	{products.InfluxDB, service.AuthNone},
	{products.RabbitMQ, service.AuthBasic},
	{products.Jaeger, service.AuthNone},
	{products.Jaeger1, service.AuthNone},
	{products.ThanosQuery, service.AuthNone},
	{products.ThanosQueryFrontend, service.AuthNone},
}

func TestEachProductUnderEachDifficulty(t *testing.T) {
	m := &matrix{lines: map[string]map[string]string{}}
	t.Cleanup(func() { m.compare(t) }) // after the parallel subtests
	for _, r := range rows {
		if !r.software.Wanted(t) {
			continue
		}
		t.Run(strings.ReplaceAll(r.software.Product+" "+r.software.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			difficulties(t, r, m)
		})
	}
}

func difficulties(t *testing.T, r row, m *matrix) {
	p := products.Start(t, r.software, products.Options{})
	kind, patient, hasty := r.software.Kind, newClerk(t, 20*time.Second), newClerk(t, 300*time.Millisecond)

	// Verified, at exactly the URL at which an agent's first query works.
	for name, c := range map[string]struct {
		front *products.Front
		path  string
		tls   string
	}{
		"plain":               {products.Plain(t, p.URL), "", ""},
		"TLS, private CA":     {products.WithTLS(t, p.URL), "", service.TLSUntrusted},
		"prefix, redirecting": {products.Below(t, p.URL, "/team/it"), "/team/it", ""},
		"slow":                {products.Slow(t, p.URL, 20*time.Millisecond), "", ""},
	} {
		// As the Service's port may be called, without TLS.
		id := patient.ask(t, strings.Replace(c.front.URL, "https://", "http://", 1), kind)
		requests := c.front.Requests()
		m.note(p, name, id, len(requests))
		if id.Verdict != service.Verified || id.Type != kind || id.Product != p.Software.Product || id.Access.Path != c.path || id.Access.TLS != c.tls || id.Access.Auth != r.auth {
			t.Errorf("%s: got %+v", name, id)
		}
		if version := strings.TrimPrefix(id.Version, "v"); p.Software.Silent != (version == "") || !p.Software.Silent && version != p.Version {
			t.Errorf("%s: version %q, want that of %s", name, id.Version, p.Version)
		}
		onlyReads(t, name, requests)
		client := http.DefaultClient
		if c.front.TLS != nil {
			client = c.front.TLS.Client()
		}
		worksAt(t, name, client, id, r)
		healthyAt(t, name, client, c.front.URL, id)
	}

	// Behind what lets nobody in, the metadata alone count, and the credentials are known.
	for name, c := range map[string]struct {
		front  *products.Front
		auth   string
		tenant bool
	}{
		"basic auth": {products.BasicAuth(t, p.URL), service.AuthBasic, false},
		"bearer":     {products.Bearer(t, p.URL), service.AuthRequired, false},
		"login page": {products.Login(t, p.URL), service.AuthLogin, false},
		"tenant":     {products.Tenant(t, p.URL), service.AuthNone, true},
	} {
		id := patient.ask(t, c.front.URL, kind)
		requests := c.front.Requests()
		m.note(p, name, id, len(requests))
		if id.Verdict != service.Unverified || id.Access.Auth != c.auth || id.Access.Tenant != c.tenant {
			t.Errorf("%s: got %+v", name, id)
		}
		onlyReads(t, name, requests)
	}

	// What answers nothing useful proves nothing.
	for name, front := range map[string]*products.Front{
		"hanging": products.Hanging(t), "garbage": products.Garbage(t), "endless body": products.Endless(t),
		"redirects elsewhere": products.Redirecting(t, "http://192.0.2.1/"),
	} {
		id := hasty.ask(t, front.URL, kind)
		t.Logf("| %s | %s | %s | %d |", kind, name, id.Verdict, len(front.Requests()))
		if id.Verdict != service.Unverified {
			t.Errorf("%s: got %+v", name, id)
		}
		onlyReads(t, name, front.Requests())
	}
}

// worksAt sends an agent's first query, the example that the tools of MCP give, to the URL in
// the answer.
func worksAt(t *testing.T, name string, client *http.Client, id service.Identity, r row) {
	t.Helper()
	if id.URL == "" {
		return // it was not verified, which the test has said
	}
	host := strings.SplitN(strings.SplitN(id.URL, "://", 2)[1], "/", 2)[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	example, _ := tools.Example(r.software.Kind, id.Access.Scheme+"://"+host+id.Access.Path)
	method, first, _ := strings.Cut(example, " ")
	req, err := http.NewRequestWithContext(ctx, method, first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if id.Access.Auth == service.AuthBasic {
		req.SetBasicAuth("guest", "guest") // RabbitMQ's, on loopback
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Errorf("%s: an agent's first query: %v", name, err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: an agent's first query to %s: %s: %s", name, req.URL, resp.Status, body)
	}
}

// healthyAt sends what the health check sends to a back end that was found at url and has
// said who it is.
func healthyAt(t *testing.T, name string, client *http.Client, url string, id service.Identity) {
	t.Helper()
	if id.Verdict != service.Verified {
		return // which the test has said
	}
	// As it is for a Service that metadata call something else.
	b := detect.Default().Correct(&service.Backend{Type: "custom", Endpoint: url, Enabled: true}, &id)
	if b.Type != id.Type || b.Probe.Kind != service.ProbeHTTP {
		t.Fatalf("%s: %+v", name, b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Probe.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Errorf("%s: its health check: %v", name, err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // only the status is wanted
	if resp.StatusCode/100 != 2 && !slices.Contains(b.Probe.AcceptStatus, resp.StatusCode) {
		t.Errorf("%s: its health check of %s: %s", name, b.Probe.URL, resp.Status)
	}
}

// onlyReads reports requests that are anything but a few GETs without credentials.
func onlyReads(t *testing.T, name string, requests []products.Request) {
	t.Helper()
	if len(requests) > 48 {
		t.Errorf("%s: %d requests", name, len(requests))
	}
	for _, r := range requests {
		if r.Method != http.MethodGet || r.Authorization != "" || r.Cookie != "" {
			t.Errorf("%s: sent %+v", name, r)
		}
	}
}

// Each product behind a Service that metadata call something else, and behind one that no
// label betrays: it is what it says, and nothing else.
func TestEachProductUnderAWrongLabel(t *testing.T) {
	types := detect.Default().Types()
	for _, s := range []*products.Software{
		products.Prometheus, products.PrometheusAgent, products.Alertmanager, products.Pushgateway, products.VictoriaMetricsOld, products.VictoriaMetrics,
		products.VictoriaLogs, products.InfluxDB, products.RabbitMQ, products.Prometheus3, products.PrometheusAgent3, products.Jaeger, products.Jaeger1,
		products.ThanosQuery, products.ThanosQueryFrontend, products.Cortex, products.CortexTenant,
	} {
		if !s.Wanted(t) {
			continue
		}
		t.Run(strings.ReplaceAll(s.Product+" "+s.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			p := products.Start(t, s, products.Options{})
			c := newClerk(t, 20*time.Second)
			for _, label := range append(slices.Clone(types), "") {
				if label == "kafka" || label == "otel-collector" {
					continue // not asked by HTTP, or not at all
				}
				var hints []string
				if label == "" {
					hints = []string{s.Kind}
				}
				id := c.ask(t, p.URL, label, hints...)
				switch {
				case s.Kind != "" && (id.Verdict != service.Verified || id.Type != s.Kind):
					t.Errorf("labelled %q: got %+v", label, id)
				case s.Kind == "" && id.Verdict == service.Verified:
					t.Errorf("%s, which the rules don't know, labelled %q: got %+v", s.Product, label, id)
				case s.Kind == "" && label == "":
				case s.Kind == "" && id.Verdict == service.Unverified && len(id.Evidence) == 0:
					t.Errorf("labelled %q: nothing says why: %+v", label, id)
				}
			}
		})
	}
}

func TestImpostors(t *testing.T) {
	c := newClerk(t, 20*time.Second)
	page := products.Nginx(t, "", "")
	for _, typ := range []string{"prometheus", "grafana", "jaeger", "elasticsearch", "loki", "kibana", "influxdb", "victoriametrics"} {
		if id := c.ask(t, page, typ); id.Verdict != service.Refuted {
			t.Errorf("an nginx page labelled %s: got %+v", typ, id)
		}
	}
	if id := c.ask(t, page, "", "prometheus"); id.Verdict == service.Verified {
		t.Errorf("an nginx page: got %+v", id)
	}
}

// An nginx with pages of its own passes only what is below a prefix on to the product.
func TestBehindNginxAtAKnownPrefix(t *testing.T) {
	p := products.Start(t, products.Prometheus, products.Options{})
	c := newClerk(t, 20*time.Second)
	id := c.ask(t, products.Nginx(t, p.URL, "/prometheus"), "prometheus")
	if id.Verdict != service.Verified || id.Access.Path != "/prometheus" {
		t.Errorf("got %+v", id)
	}
}

// A product below a prefix of its own, which its root leads to or the rules know.
func TestBelowAPrefixOfItsOwn(t *testing.T) {
	for s, prefix := range map[*products.Software]string{
		products.Prometheus: "/some/where", products.Prometheus3: "/some/where", products.Jaeger1: "/jaeger", products.Alertmanager: "/alerts", products.RabbitMQ: "/mq", products.VictoriaMetrics: "/victoriametrics",
		products.Jaeger: "/jaeger", products.ThanosQuery: "/thanos",
	} {
		if !s.Wanted(t) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			p := products.Start(t, s, products.Options{Prefix: prefix})
			id := newClerk(t, 20*time.Second).ask(t, strings.TrimSuffix(p.URL, prefix), s.Kind)
			if id.Verdict != service.Verified || id.Type != s.Kind || id.Access.Path != prefix {
				t.Errorf("got %+v", id)
			}
			healthyAt(t, s.Name, http.DefaultClient, strings.TrimSuffix(p.URL, prefix), id)
		})
	}
}
