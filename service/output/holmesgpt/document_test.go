package holmesgpt

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// Which back end is first: one that an administrator chose, then one by annotation, then one
// that answers, then the first. The others follow, each with its own health check.
func TestPrimary(t *testing.T) {
	var c [3]Candidate
	for i := range c {
		ts := example("loki")
		ts.Name = string(rune('a' + i))
		ts.Endpoint = "http://" + ts.Name
		f, err := Render(ts)
		if err != nil {
			t.Fatal(err)
		}
		c[i].Fragment = f
	}
	for _, s := range []struct {
		what string
		set  func()
		want string
	}{
		{"none is better", func() {}, "a b c"},
		{"the first is down", func() { c[0].Down = true }, "b a c"},
		{"an annotation beats health", func() { c[0].Primary = true }, "a b c"},
		{"of two annotated ones, the one that is up", func() { c[2].Primary = true }, "c a b"},
		{"an administrator beats both", func() { c[1].Pinned, c[1].Primary, c[1].Down = true, true, true }, "b a c"},
	} {
		s.set()
		d := Document(c[:], Options{})
		config := load(t, d.Bytes())["grafana/loki"].Config
		var order []string
		for _, i := range config["instances"].([]any) {
			order = append(order, strings.TrimPrefix(i.(map[string]any)["name"].(string), "obs/"))
		}
		if got := strings.Join(order, " "); got != s.want || config["api_url"] != "http://"+s.want[:1] || d.Tools != 2 {
			t.Errorf("%s: got %s, %v and %d tools, want %s", s.what, got, config["api_url"], d.Tools, s.want)
		}
		d = Document(c[:], Options{Curl: true})
		if got := load(t, d.Bytes()); got["grafana/loki"].Config["api_url"] != "http://"+s.want[:1] || got["grafana/loki"].Config["instances"] != nil || len(got) != 4 {
			t.Errorf("%s, for older releases: %v", s.what, got)
		}
	}
}

// Credentials that nobody has named go to the first back end alone: else anybody could make
// a Service that asks for them. They are never beside the instances, which would inherit
// them.
func TestUsualCredentials(t *testing.T) {
	usual := service.Connection{Variables: service.Variables{APIKey: "GRAFANA_API_KEY", Usual: true}}
	first, second, third := example("grafana"), example("grafana"), example("grafana")
	first.Connection, second.Connection, third.Connection = usual, usual, service.Connection{Variables: service.Variables{APIKey: "THIRD"}}
	second.Name, third.Name = "second", "third"
	config := sprint(load(t, document(t, first, second, third))["grafana/dashboards"].Config)
	const url = "api_url:http://grafana.obs.svc.cluster.local:8080"
	if want := "map[" + url + " instances:[map[api_key:{{ env.GRAFANA_API_KEY }} " + url + " name:obs/grafana] map[" + url + " name:obs/second] map[api_key:{{ env.THIRD }} " + url + " name:obs/third]]]"; config != want {
		t.Errorf("got  %s\nwant %s", config, want)
	}
	usual.Variables = service.Variables{BearerToken: "T", Usual: true}
	for _, kind := range []string{"jaeger", "custom", "mcp", "rabbitmq"} {
		a, b := example(kind), example(kind)
		a.Connection, b.Connection, b.Name = usual, usual, "second"
		if doc := string(document(t, a, b)); strings.Contains(doc, "env.") {
			t.Errorf("%s: %s", kind, doc)
		}
	}
}

// Built-in toolsets that people configure themselves are left out, with their back ends.
func TestLeaveOut(t *testing.T) {
	o := Options{LeaveOut: []string{"elasticsearch/cluster", "grafana/loki", "kafka/admin"}}
	got := load(t, with(t, o, example("elasticsearch"), example("loki"), Toolset{Namespace: "n", Name: "k", Type: "kafka", Endpoint: "tcp://k:9092"}))
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"discovered/elasticsearch-data", "elasticsearch/data"}) {
		t.Errorf("got %q", names)
	}
	for _, b := range builtins {
		if schemas[b.name] == nil {
			t.Errorf("%s has no schema", b.name)
		}
	}
	if len(Builtins()) != len(schemas) {
		t.Errorf("%q are not all", Builtins())
	}
}

// Head and tail with any one entry are a valid document, so that a large one can be split.
func TestEntriesStandAlone(t *testing.T) {
	var candidates []Candidate
	for _, kind := range append(slices.Collect(maps.Keys(slots)), "jaeger", "custom", "mcp", "postgresql", "mongodb") {
		for _, name := range []string{"one", "two"} {
			ts := example(kind)
			ts.Name = kind + "-" + name
			f, err := Render(ts)
			if err != nil {
				t.Fatal(err)
			}
			candidates = append(candidates, Candidate{Fragment: f})
		}
	}
	for _, o := range []Options{{}, {Curl: true}} {
		d := Document(candidates, o)
		for _, e := range d.Entries {
			if err := Check(slices.Concat(d.Head, e, d.Tail)); err != nil {
				t.Errorf("%v\n%s", err, e)
			}
		}
	}
	for _, of := range [][]Candidate{nil, candidates[len(candidates)-6 : len(candidates)-4]} {
		if d := Document(of, Options{}); Check(d.Bytes()) != nil {
			t.Errorf("%v\n%s", Check(d.Bytes()), d.Bytes())
		}
	}
}

// What can't be split is bounded, and the document says what it lacks.
func TestBounds(t *testing.T) {
	for kind, c := range map[string]struct {
		endpoint, count, said string
		most                  int
	}{
		"kafka": {"tcp://k:9092", "broker:", "# kafka/admin: 50 more back ends are left out.", maxKafka}, "loki": {"http://l", "- name:", "# grafana/loki: 50 more back ends are left out.", maxInstances},
		"mcp": {"http://m", "streamable-http", "", maxServers},
	} {
		candidates := make([]Candidate, c.most+50)
		for i := range candidates {
			f, err := Render(Toolset{Namespace: "n", Name: fmt.Sprint("x", i), Type: kind, Endpoint: c.endpoint})
			if err != nil {
				t.Fatal(err)
			}
			candidates[i].Fragment = f
		}
		d := Document(candidates, Options{})
		doc := string(d.Bytes())
		if n := strings.Count(doc, c.count); n != c.most || !strings.Contains(doc, c.said) || Check(d.Bytes()) != nil {
			t.Errorf("%s: %d of them, %v\n%s", kind, n, Check(d.Bytes()), d.Head)
		}
	}
}

// Custom back ends share a toolset unless they need other variables or headers: one of these
// that is not set must not take the others with it.
func TestHTTPGroups(t *testing.T) {
	var all []Toolset
	for i, c := range []service.Connection{{}, {Variables: service.Variables{BearerToken: "A"}}, {}, {Variables: service.Variables{BearerToken: "B"}}, {Tenant: "t"}, {Variables: service.Variables{BearerToken: "A"}}} {
		ts := example("custom")
		ts.Name, ts.Connection = fmt.Sprint("c", i), c
		all = append(all, ts)
	}
	got := load(t, document(t, all...))
	for key, want := range map[string]string{"http": "c0 c2", "http-2": "c1 c5", "http-3": "c3", "http-4": "c4"} {
		var names []string
		for _, m := range strings.Split(got["discovered/"+key].Instructions, "Service ")[1:] {
			names = append(names, m[:2])
		}
		if s := strings.Join(names, " "); s != want {
			t.Errorf("%s has %s, want %s", key, s, want)
		}
	}
	all = nil
	for i := range maxEndpoints + 1 {
		ts := example("custom")
		ts.Name = fmt.Sprint("c", i)
		all = append(all, ts)
	}
	if got := load(t, document(t, all...)); len(got) != 2 {
		t.Errorf("%d back ends are in %d toolsets", len(all), len(got))
	}
}
