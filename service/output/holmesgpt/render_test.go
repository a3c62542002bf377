package holmesgpt

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func example(kind string) Toolset {
	return Toolset{Namespace: "obs", Name: kind, Type: kind, Endpoint: "http://" + kind + ".obs.svc.cluster.local:8080", Description: "It holds data."}
}

// Two back ends of every type that the rules know: the first is a built-in toolset if
// HolmesGPT has one, the second a toolset of its own.
func TestEveryType(t *testing.T) {
	for kind, want := range map[string][]string{
		"prometheus":      {"prometheus/metrics", "discovered/obs/second"},
		"thanos-query":    {"prometheus/metrics", "discovered/obs/second"},
		"mimir":           {"prometheus/metrics", "discovered/obs/second"},
		"victoriametrics": {"prometheus/metrics", "discovered/obs/second"},
		"grafana":         {"grafana/dashboards", "discovered/obs/second"},
		"loki":            {"grafana/loki", "discovered/obs/second"},
		"tempo":           {"grafana/tempo", "discovered/obs/second"},
		"elasticsearch":   {"elasticsearch/data", "elasticsearch/cluster", "opensearch/logs", "opensearch/status", "discovered/obs/second"},
		"opensearch":      {"elasticsearch/data", "elasticsearch/cluster", "opensearch/logs", "opensearch/status", "discovered/obs/second"},
		"rabbitmq":        {"rabbitmq/core", "discovered/obs/second"},
		"kafka":           {"kafka/admin"},
		"jaeger":          {"discovered/obs/jaeger", "discovered/obs/second"},
		"zipkin":          {"discovered/obs/zipkin", "discovered/obs/second"},
		"alertmanager":    {"discovered/obs/alertmanager", "discovered/obs/second"},
		"kibana":          {"discovered/obs/kibana", "discovered/obs/second"},
		"victorialogs":    {"discovered/obs/victorialogs", "discovered/obs/second"},
		"pyroscope":       {"discovered/obs/pyroscope", "discovered/obs/second"},
		"kiali":           {"discovered/obs/kiali", "discovered/obs/second"},
		"argocd":          {"discovered/obs/argocd", "discovered/obs/second"},
		"influxdb":        {"discovered/obs/influxdb", "discovered/obs/second"},
		"quickwit":        {"discovered/obs/quickwit", "discovered/obs/second"},
		"custom":          {"discovered/obs/custom", "discovered/obs/second"},
		"openobserve":     {"discovered/obs/openobserve", "discovered/obs/second"},
		"otel-collector":  {},
	} {
		first, second := example(kind), example(kind)
		second.Name = "second"
		if kind == "kafka" {
			first.Endpoint, second.Endpoint = "tcp://kafka.obs:9092", "tcp://second.obs:9092"
		}
		got := load(t, document(t, first, second))
		if ts := got["dynamic-toolset"]; ts.Enabled || ts.Description == "" {
			t.Errorf("%s: the entry that keeps the file from being empty is %+v", kind, ts)
		}
		delete(got, "dynamic-toolset")
		slices.Sort(want)
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
			t.Errorf("%s: got %q, want %q", kind, names, want)
		}
		for name, ts := range got {
			if !ts.Enabled || !strings.HasPrefix(ts.Description, "It holds data.") && name != "kafka/admin" {
				t.Errorf("%s: %s is %+v", kind, name, ts)
			}
			if own := strings.HasPrefix(name, "discovered/"); own != (len(ts.Tools) > 0) || own == (len(ts.Config) > 0) {
				t.Errorf("%s: %s has tools %v, config %v", kind, name, ts.Tools, ts.Config)
			}
		}
	}
}

func TestConfigs(t *testing.T) {
	render := func(kind, endpoint, path string) map[string]loadedToolset {
		ts := example(kind)
		ts.Endpoint, ts.Path = endpoint, path
		return load(t, document(t, ts))
	}
	for _, c := range []struct{ key, kind, endpoint, path, want string }{
		{"prometheus/metrics", "prometheus", "http://p:9090", "", "map[prometheus_url:http://p:9090]"},
		{"prometheus/metrics", "prometheus", "http://p:9090", "/prom", "map[healthcheck:api/v1/query?query=up prometheus_url:http://p:9090/prom]"},
		{"prometheus/metrics", "mimir", "http://m:8080", "/prometheus", "map[healthcheck:api/v1/query?query=up prometheus_url:http://m:8080/prometheus]"},
		{"grafana/dashboards", "grafana", "http://g:3000", "", "map[api_key:{{ env.GRAFANA_API_KEY }} url:http://g:3000]"},
		{"grafana/loki", "loki", "http://l:3100", "", "map[url:http://l:3100]"},
		{"rabbitmq/core", "rabbitmq", "http://r:15672", "", "map[clusters:[map[id:obs/rabbitmq management_url:http://r:15672 password:{{ env.RABBITMQ_PASSWORD }} username:{{ env.RABBITMQ_USERNAME }}]]]"},
		{"rabbitmq/core", "rabbitmq", "http://r:15672", "/mq", "map[clusters:[map[id:obs/rabbitmq management_url:http://r:15672/mq/ password:{{ env.RABBITMQ_PASSWORD }} username:{{ env.RABBITMQ_USERNAME }}]]]"},
		{"kafka/admin", "kafka", "tcp://k:9092", "", "map[kafka_clusters:[map[kafka_broker:k:9092 name:obs/kafka]]]"},
		{"elasticsearch/data", "elasticsearch", "http://e:9200", "/es", "map[api_url:http://e:9200/es]"},
		{"elasticsearch/data", "elasticsearch", "https://e:9200", "", "map[api_key:{{ env.ELASTICSEARCH_API_KEY }} api_url:https://e:9200]"},
		{"opensearch/logs", "elasticsearch", "https://e:9200", "", "map[index_pattern:* opensearch_auth_header:ApiKey {{ env.ELASTICSEARCH_API_KEY }} opensearch_url:https://e:9200]"},
		{"opensearch/status", "elasticsearch", "https://e", "", "map[opensearch_clusters:[map[headers:map[Authorization:ApiKey {{ env.ELASTICSEARCH_API_KEY }}] hosts:[map[host:e port:443]] use_ssl:true verify_certs:true]]]"},
		{"opensearch/status", "opensearch", "https://[fd00::1]:9200", "", "map[opensearch_clusters:[map[hosts:[map[host:fd00::1 port:9200]] http_auth:map[password:{{ env.OPENSEARCH_PASSWORD }} username:{{ env.OPENSEARCH_USERNAME }}] use_ssl:true verify_certs:true]]]"},
		{"opensearch/status", "opensearch", "http://o", "", "map[opensearch_clusters:[map[hosts:[map[host:o port:80]] use_ssl:false verify_certs:false]]]"},
	} {
		got := render(c.kind, c.endpoint, c.path)
		if s := sprint(got[c.key].Config); s != c.want {
			t.Errorf("%s at %s%s:\ngot  %s\nwant %s", c.kind, c.endpoint, c.path, s, c.want)
		}
	}
	for _, c := range []struct{ kind, endpoint, path, absent string }{
		{"elasticsearch", "http://e:9200", "/es", "opensearch/status"}, // does not support paths
		{"kafka", "http://k:9092", "/x", "kafka/admin"},
		{"kafka", "http://k", "", "kafka/admin"},
		{"prometheus", "tcp://p:9090", "", "prometheus/metrics"},
		{"custom", "grpc://c:1", "", "discovered/obs/custom"},
	} {
		if _, ok := render(c.kind, c.endpoint, c.path)[c.absent]; ok {
			t.Errorf("%s at %s%s: there is %s", c.kind, c.endpoint, c.path, c.absent)
		}
	}
}

// Which back end becomes the built-in toolset: one that an administrator chose, then one by
// annotation, then one that answers, then the first.
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
		{"none is better", func() {}, "http://a"},
		{"the first is down", func() { c[0].Down = true }, "http://b"},
		{"an annotation beats health", func() { c[0].Primary = true }, "http://a"},
		{"of two annotated ones, the one that is up", func() { c[2].Primary = true }, "http://c"},
		{"an administrator beats both", func() { c[1].Pinned, c[1].Primary, c[1].Down = true, true, true }, "http://b"},
	} {
		s.set()
		doc := append([]byte(Head), slices.Concat(Entries(c[:])...)...)
		got := load(t, doc)
		if url := got["grafana/loki"].Config["url"]; url != s.want || len(got) != 4 {
			t.Errorf("%s: got %v of %d, want %s", s.what, url, len(got), s.want)
		}
	}
}

// An agent is never sent to its own machine or to the metadata of its cloud.
func TestPrivateAddresses(t *testing.T) {
	for host, empty := range map[string]bool{
		"127.0.0.1": true, "[::1]": true, "[::ffff:127.0.0.1]": true, "169.254.169.254": true, "0.0.0.0": true, "[fd00:ec2::254]": true,
		"localhost": true, "LocalHost.": true, "a.localhost": true, "metadata.google.internal": true,
		"10.0.0.1": false, "192.168.1.1": false, "[fd00::1]": false, "localhost.example.com": false, "metadata.example.com": false,
	} {
		for _, kind := range []string{"custom", "grafana", "kafka"} {
			ts := example(kind)
			ts.Endpoint = "http://" + host + ":1"
			if f, err := Render(ts); err != nil || f.Empty() != empty {
				t.Errorf("%s at %s: %v, empty: %v", kind, host, err, f.Empty())
			}
		}
	}
}

// Head and any one entry are a valid document, so that a large one can be split.
func TestEntriesStandAlone(t *testing.T) {
	var candidates []Candidate
	for kind := range slots {
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
	for _, e := range Entries(candidates) {
		if err := Check(append([]byte(Head), e...)); err != nil {
			t.Errorf("%v\n%s", err, e)
		}
	}
	if err := Check([]byte(Head)); err != nil {
		t.Errorf("without any: %v", err)
	}
}

func TestKafkaIsBounded(t *testing.T) {
	f, err := Render(Toolset{Namespace: "n", Name: "k", Type: "kafka", Endpoint: "tcp://k:9092"})
	if err != nil {
		t.Fatal(err)
	}
	candidates := make([]Candidate, maxKafka+50)
	for i := range candidates {
		candidates[i].Fragment = f
	}
	entries := Entries(candidates)
	if n := strings.Count(string(entries[0]), "kafka_broker"); n != maxKafka || len(entries) != 1 {
		t.Errorf("%d clusters in %d entries", n, len(entries))
	}
}

// Names of tools are short enough, and differ even if names of toolsets are alike.
func TestToolNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	seen := map[string]string{}
	for _, ts := range []Toolset{
		{Namespace: "a", Name: "b.c"}, {Namespace: "a", Name: "b-c"}, {Namespace: "a-b", Name: "c"}, {Namespace: "a", Name: "b"},
		{Namespace: long, Name: long}, {Namespace: long, Name: long + ".b"}, {Namespace: long, Name: "b"},
		{Namespace: "a", Name: long + "." + long}, {Namespace: "a", Name: long + "-" + long},
	} {
		for _, verb := range []string{"list_alerts", "list_label_values", "query"} {
			name := ts.toolName(verb)
			if other, taken := seen[name]; taken || !toolNames.MatchString(name) {
				t.Errorf("%s of %v: %q, as of %q", verb, &ts, name, other)
			}
			seen[name] = ts.String()
		}
		if key := ts.key(); seen[key] != "" || strings.Contains(key, ".") {
			t.Errorf("the key of %v is %q, as of %q", &ts, key, seen[key])
		} else {
			seen[key] = ts.String()
		}
	}
}

// The tables of tools are as their comments say.
func TestToolTables(t *testing.T) {
	all := maps.Clone(tools)
	all["custom"] = anyTool
	for kind, list := range all {
		for _, tool := range list {
			if len(tool.verb) > maxVerb || strings.Contains(tool.verb, "__") || strings.HasSuffix(tool.description, ".") || !strings.HasPrefix(tool.path, "/") {
				t.Errorf("%s: %+v", kind, tool)
			}
			if s := strings.Join(tool.query, "") + tool.path; strings.ContainsAny(s, "'$`\\\" ") {
				t.Errorf("%s: %s has a character that means something to a shell", kind, tool.verb)
			}
		}
	}
}

// Every word of a command is in quotes or a placeholder, even if it would not need quotes.
func TestCommandLine(t *testing.T) {
	got := load(t, document(t, example("jaeger")))["discovered/obs/jaeger"].Tools[2]
	const want = "curl -sS --fail-with-body --globoff --max-time 30 --netrc-optional --get" +
		" --data-urlencode 'service='{{ service }} --data-urlencode 'start='{{ start_us }} --data-urlencode 'end='{{ end_us }}" +
		" --data-urlencode 'limit='{{ limit }} 'http://jaeger.obs.svc.cluster.local:8080/api/traces'"
	if got.Name != "find_traces__obs__jaeger" || got.Command != want {
		t.Errorf("got  %s %s\nwant %s", got.Name, got.Command, want)
	}
	if got := words("/api/{a}/b{c}"); got != "'/api/'{{ a }}'/b'{{ c }}" {
		t.Errorf("got %s", got)
	}
}

// What must not become part of a command is refused.
func TestRenderRefuses(t *testing.T) {
	good := example("jaeger")
	for what, change := range map[string]func(*Toolset){
		"namespace with a quote":     func(t *Toolset) { t.Namespace = "a'b" },
		"namespace with a dot":       func(t *Toolset) { t.Namespace = "a.b" },
		"no namespace":               func(t *Toolset) { t.Namespace = "" },
		"name in upper case":         func(t *Toolset) { t.Name = "Jaeger" },
		"name with an underscore":    func(t *Toolset) { t.Name = "a_b" },
		"name with an empty label":   func(t *Toolset) { t.Name = "a..b" },
		"name with a line break":     func(t *Toolset) { t.Name = "a\nb" },
		"type with a slash":          func(t *Toolset) { t.Type = "a/b" },
		"quote in the endpoint":      func(t *Toolset) { t.Endpoint = "http://a'b" },
		"variable in the endpoint":   func(t *Toolset) { t.Endpoint = "http://a/$HOME" },
		"Jinja in the endpoint":      func(t *Toolset) { t.Endpoint = "http://a/{{x}}" },
		"space in the path":          func(t *Toolset) { t.Path = "/a b" },
		"user in the endpoint":       func(t *Toolset) { t.Endpoint = "http://u@a" },
		"path that changes the host": func(t *Toolset) { t.Path = ".evil.example" },
		"no host":                    func(t *Toolset) { t.Endpoint = "http://" },
		"file":                       func(t *Toolset) { t.Endpoint = "file:///etc" },
		"slash at the end":           func(t *Toolset) { t.Path = "/" },
		"not ASCII":                  func(t *Toolset) { t.Endpoint = "http://ä" },
		"too long":                   func(t *Toolset) { t.Path = "/" + strings.Repeat("a", maxEndpoint) },
		"query":                      func(t *Toolset) { t.Endpoint = "http://a/?x=1" },
	} {
		ts := good
		change(&ts)
		if _, err := Render(ts); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
