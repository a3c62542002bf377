package page

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

func rowsOf(root *html.Node) (keys []string) {
	for _, tr := range elements(root, "tr") {
		if key := attribute(tr, "data-key"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func byID(root *html.Node, id string) *html.Node {
	for n := range root.Descendants() {
		if attribute(n, "id") == id {
			return n
		}
	}
	return nil
}

// Each back end is shown with everything that there is to know about it.

func TestRows(t *testing.T) {
	p, snap := drawn(few())
	_, root := write(t, p, snap, fine(), &Query{}, nil)
	text := map[string]string{}
	for _, tr := range elements(root, "tr") {
		text[attribute(tr, "data-key")] = strings.Join(strings.Fields(textOf(tr)), " ")
	}
	for key, wants := range map[string][]string{
		"logging/elasticsearch-master":     {"elasticsearch", "https://elasticsearch-master.logging.svc.cluster.local:9200", "verified", "Elasticsearch 8.17.1", "basic credentials", "untrusted certificate", "healthy", "the only one of this type", "elasticsearch-master-headless"},
		"logging/loki-gateway":             {"tenant needed"},
		"messaging/kafka-bootstrap":        {"unverified", "unhealthy", refused},
		"monitoring/prometheus":            {"http://prometheus.monitoring.svc.cluster.local:9090/prometheus", "older than monitoring/prometheus-federation", "GET /api/v1/status/buildinfo answered as Prometheus 3.5.0", "asked 6 min ago"},
		"monitoring/prometheus-federation": {"unhealthy", "status 503 Service Unavailable", "12 s ago", "Primary no", "11:59:18 UTC"},
		"shop/dashboard":                   {"disabled", "refuted", "Welcome to nginx!"},
		"shop/metrics":                     {"refuted", "VictoriaMetrics 1.119.0"},
		"tracing/zipkin":                   {"not asked", "not checked"},
	} {
		for _, want := range wants {
			if want = strings.TrimPrefix(want, "Primary "); !strings.Contains(text[key], want) {
				t.Errorf("%s: no %q in %q", key, want, text[key])
			}
		}
	}
	// What is wrong is said at once, and the last checks are drawn in the order of their times.
	for _, tr := range elements(root, "tr") {
		if attribute(tr, "data-key") != "monitoring/prometheus-federation" {
			continue
		}
		var drawn []string
		for _, rect := range elements(tr, "rect") {
			drawn = append(drawn, attribute(rect, "x")+attribute(rect, "class"))
		}
		if !slices.Equal(drawn, []string{"0good", "8good", "16good", "24bad", "32bad"}) {
			t.Errorf("the checks are drawn as %q", drawn)
		}
		said := ""
		for _, p := range elements(tr, "p") {
			if attribute(p, "class") == "reason" {
				said += textOf(p)
			}
		}
		if said != "status 503 Service Unavailable, after 3 attempts" {
			t.Errorf("the reason is %q", said)
		}
	}
	if n := len(rowsOf(root)); n != 12 { // of 14: two are aliases
		t.Errorf("%d rows", n)
	}
	if strings.Contains(text["shop/dashboard"], "primary") {
		t.Error("a disabled back end is shown as the primary")
	}
}

// What the filters choose is what a plain loop chooses, on all pages together, and each page

// is bounded.

// candidatesOf returns those that a page shows, the verdicts that its filter offers, and what

// it says of their number.

// Candidates are chosen as back ends are, with them or alone.

// The numbers of the overview are those of a plain count, and of the current snapshot.

func TestOverview(t *testing.T) {
	p, snap := drawn(many(2000))
	o := p.overviewOf(snap)
	if sum := o.verdicts["verified"] + o.verdicts["refuted"] + o.verdicts["unverified"] + o.verdicts["unasked"]; sum != 2000 || o.total != 2000 || o.verdicts["unverified"] != 200 || o.verdicts["unasked"] != 200 {
		t.Errorf("%+v", o)
	}
	if sum := o.healths[Healthy] + o.healths[Unhealthy] + o.healths[Unchecked]; sum != 2000 || o.healths[Unhealthy] != 182 {
		t.Errorf("%+v", o.healths)
	}
	sum := 0
	for i, typ := range o.types {
		if sum += typ.total; i > 0 && o.types[i-1].total < typ.total {
			t.Error("the types are not in the order of their size")
		}
	}
	if sum != 2000 || !slices.IsSorted(o.namespaces) || len(o.namespaces) != 100 {
		t.Errorf("%d back ends in all types, %d namespaces", sum, len(o.namespaces))
	}
	if p.overviewOf(snap) != o {
		t.Error("the same snapshot is counted twice")
	}
	if now := p.overviewOf(snapshot.NewBuilder().Next(nil, nil, noon, "")); now.total != 0 {
		t.Errorf("an empty snapshot: %+v", now)
	}
	_, root := write(t, p, snap, fine(), &Query{Type: "loki"}, nil)
	// The shares of a bar lie side by side, and fill it.
	for _, svg := range elements(root, "svg") {
		if attribute(svg, "class") != "bar" {
			continue
		}
		end := 0.0
		for _, rect := range elements(svg, "rect") {
			x, err := strconv.ParseFloat(attribute(rect, "x"), 64)
			width, err2 := strconv.ParseFloat(attribute(rect, "width"), 64)
			if err != nil || err2 != nil || math.Abs(x-end) > 0.01 || width <= 0 {
				t.Errorf("%s: a share is %v wide from %v, want from %v", attribute(svg, "aria-label"), width, x, end)
			}
			end = x + width
		}
		if math.Abs(end-100) > 0.01 {
			t.Errorf("%s: it is filled to %v", attribute(svg, "aria-label"), end)
		}
	}
	link := ""
	for _, a := range elements(byID(root, "types"), "a") {
		if attribute(a, "aria-current") != "" {
			link += attribute(a, "href") + textOf(a)
		}
	}
	if !strings.HasPrefix(link, ".loki") {
		t.Errorf("the current type leads to %q, not back to all", link)
	}
}

// Each word of a state is in the legend, which needs no script; and candidates, which are not
// listed, are not among the numbers of those that are.
func TestLegend(t *testing.T) {
	p, snap := drawn(many(50))
	state := troubled()
	_, root := write(t, p, snap, state, &Query{}, nil)
	words := map[string]bool{}
	for _, dt := range elements(byID(root, "legend"), "dt") {
		words[strings.TrimSpace(textOf(dt))] = true
	}
	for _, class := range append(slices.Clone(verdicts), healths...) {
		word := verdictBadge(class).Word
		if slices.Contains(healths, class) {
			word = healthBadge(class).Word
		}
		if !words[word] {
			t.Errorf("%s is not in the legend: %v", word, words)
		}
	}
	if len(state.Candidates) == 0 {
		t.Fatal("there are no candidates")
	}
	overview, apart := byID(root, "overview"), ""
	for _, e := range elements(overview, "p") {
		if attribute(e, "class") == "apart" {
			apart += strings.Join(strings.Fields(textOf(e)), " ")
		}
	}
	if want := fmt.Sprintf("besides, not listed: %d candidate", len(state.Candidates)+state.Unlisted); apart != want {
		t.Errorf("%q, want %q", apart, want)
	}
	for _, e := range elements(overview, "li") {
		if strings.Contains(textOf(e), "candidate") {
			t.Errorf("%q is among those that are listed", textOf(e))
		}
	}
}

// What the service says about itself, in good and bad times.

func TestFacts(t *testing.T) {
	p, snap := drawn(few())
	for _, c := range []struct {
		name  string
		state *State
		want  []string
		never []string
	}{
		{"fine", fine(), []string{"https://10.96.0.1:443 can be read", "this replica holds the lease as dynamic-toolset-6d5f7c9b8-x2k4q_51c0a9e1d2f3",
			"kubernaut-system/kubernaut-toolset-config version 48213; last attempt here: success, 4 min ago", "Overrides in force", "3 s old last change in the cluster 4 min ago", "1.4.0 served by dynamic-toolset-6d5f7c9b8-x2k4q"}, []string{"ignored", "can't"}},
		{"troubled", troubled(), []string{"can't be read since 7 min ago", "Kubernetes has been unreachable", "dynamic-toolset-6d5f7c9b8-m9w7r_0fb1c2d3e4f5 leads; this replica stands by", "could not be written", "ended with forbidden",
			"Overrides ignored 2 mistakes", "toolsets[4]: has neither a service nor a url (line 21)", "Candidates", "metrics-store"}, []string{"in force"}},
		{"alone", &State{Version: "1"}, []string{"ConfigMap none is written", "Overrides none", "Cluster can be read"}, []string{"Leader", "Explain a Service", "explain"}},
		{"vacant", &State{Leader: Leader{Self: "me", Vacant: "no replica holds the lease yet"}}, []string{"Leader no replica no replica holds the lease yet"}, nil},
		{"idle", &State{Overrides: Overrides{Present: true, Unmatched: []string{"toolsets[2] (monitoring/thanos)"}}}, []string{"Overrides in force 1 of them without effect", "Overrides without effect toolsets[2] (monitoring/thanos)"}, nil},
		{"some namespaces", &State{Cluster: Cluster{Name: "c", Namespaces: []string{"a", "b"}}}, []string{"only the namespaces a, b"}, nil},
	} {
		_, root := write(t, p, snap, c.state, &Query{}, nil)
		colours := ""
		for _, e := range elements(elements(root, "dl")[0], "div") {
			colours += " " + cmp.Or(attribute(e, "class"), "-")
		}
		if want := map[string]string{
			"fine": " good - good good good -", "troubled": " bad - bad - bad -", "alone": " good - - - -", "vacant": " good - - warn - -", "idle": " good - - warn -", "some namespaces": " good - - - -",
		}[c.name]; colours != want {
			t.Errorf("%s: the colours are%s, want%s", c.name, colours, want)
		}
		for _, e := range elements(root, "script") {
			e.Parent.RemoveChild(e)
		}
		for _, e := range elements(root, "style") {
			e.Parent.RemoveChild(e)
		}
		var b strings.Builder
		for n := range root.Descendants() { // with a blank between elements, as one sees them
			if n.Type == html.TextNode {
				b.WriteString(n.Data)
				if p := n.Parent.Data; p == "dt" || p == "b" && n.Parent.Parent.Data == "dd" && n.NextSibling == nil || p == "h2" {
					b.WriteString(" ")
				}
			}
		}
		text := strings.Join(strings.Fields(b.String()), " ")
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, text)
			}
		}
		for _, never := range c.never {
			if strings.Contains(text, never) {
				t.Errorf("%s: %q in\n%s", c.name, never, text)
			}
		}
	}
}

func TestExplanation(t *testing.T) {
	p, snap := drawn(few())
	q := &Query{Explain: service.Key{Namespace: "shop", Name: "query-frontend"}, Type: "loki"}
	_, root := write(t, p, snap, fine(), q, explanationOf())
	text := strings.Join(strings.Fields(textOf(byID(root, "explanation"))), " ")
	for _, want := range []string{"shop/query-frontend", "not listed", "the metadata do not say which product it is", "for: the Service's name has query-frontend, a role of loki", "against: neither its selector",
		"3100 (http): is a number at which loki answers queries (chosen)", "404 Not Found", "kubectl annotate service -n shop query-frontend --overwrite kubernaut.io/toolset-type=loki", "It is listed as loki", "Nothing has shown that it is one.",
		"the other 19 rules", "kubernaut.io/toolset-type: Loki!", "is ignored", "toolsets[2]", "changes nothing", "logging/loki-gateway: the only one of this type", "not checked yet (GET http://query-frontend"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	for _, a := range elements(byID(root, "explanation"), "a") {
		if attribute(a, "href") != "?type=loki" {
			t.Errorf("it is closed by %q", attribute(a, "href"))
		}
	}
	// No document is too strange.
	type object = map[string]any
	for name, document := range map[string]any{
		"nothing": nil, "empty": object{}, "more": object{"listed": true, "score": 3}, "null": object{"steps": nil, "asked": nil, "primary": nil},
	} {
		_, root := write(t, p, snap, fine(), q, document)
		if text := textOf(byID(root, "explanation")); !strings.Contains(text, "shop/query-frontend") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if err := p.Write(&strings.Builder{}, snap, fine(), q, []string{"a list"}); err == nil || !strings.Contains(err.Error(), "shop/query-frontend") {
		t.Errorf("%v", err)
	}
}

// What a query has wrong is told with what would be right, and nothing is guessed.

// Any query has an answer, and a link leads to the same query.

func TestBreakable(t *testing.T) {
	for s, want := range map[string]string{
		"http://prometheus.monitoring.svc.cluster.local:9090/prometheus": "http://|prometheus.|monitoring.|svc.cluster.local:9090/|prometheus",
		"":                                 "",
		"loki":                             "loki",
		"refused by 127.0.0.1:8080, again": "refused by 127.0.0.1:8080,| again",
		"loki-3.6.7-canary":                "loki-|3.6.7-|canary",
		"tempo-query-frontend":             "tempo-|query-|frontend",
		"older than a/b-c; only":           "older than a/|b-c; only",
	} {
		got := breakable(s)
		if strings.Join(got, "") != s || strings.Join(got, "|") != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "0 s", 0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 days", 9000 * time.Hour: strconv.Itoa(375) + " days",
	} {
		if got := age(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

// A page of 10,000 back ends costs what its hundred rows cost, and the count of all.

func BenchmarkPage(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			p, snap := drawn(many(n))
			state := fine()
			var out bytes.Buffer
			for b.Loop() {
				p.overview.Store(nil)
				out.Reset()
				if err := p.Write(&out, snap, state, &Query{}, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(out.Len()), "bytes")
			var compressed bytes.Buffer
			z, err := gzip.NewWriterLevel(&compressed, gzip.BestSpeed) // as the service does
			if err == nil {
				_, err = out.WriteTo(z)
			}
			if err = errors.Join(err, z.Close()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(compressed.Len()), "gzip-bytes")
		})
	}
}
