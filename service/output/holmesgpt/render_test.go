package holmesgpt

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

func example(kind string) Toolset {
	return Toolset{Namespace: "obs", Name: kind, Type: kind, Endpoint: "http://" + kind + ".obs.svc.cluster.local:8080", Description: "It holds data."}
}

// Two back ends of every type that the rules know, and of some that they don't: together
// they are instances of a built-in toolset, or each is a toolset of its own.
func TestEveryType(t *testing.T) {
	own := func(kind string) []string { return []string{"discovered/obs/" + kind, "discovered/obs/second"} }
	builtin := func(names ...string) []string {
		return append(names, "discovered/"+strings.ReplaceAll(names[0], "/", "-"))
	}
	for kind, want := range map[string][]string{
		"prometheus": builtin("prometheus/metrics"), "thanos-query": builtin("prometheus/metrics"), "mimir": builtin("prometheus/metrics"), "victoriametrics": builtin("prometheus/metrics"),
		"grafana": builtin("grafana/dashboards"), "loki": builtin("grafana/loki"), "tempo": builtin("grafana/tempo"), "victorialogs": builtin("victorialogs"),
		"elasticsearch": builtin("elasticsearch/data", "elasticsearch/cluster"), "opensearch": builtin("elasticsearch/data", "elasticsearch/cluster"),
		"rabbitmq": append(builtin("rabbitmq/core"), "discovered/obs/second"), "kafka": builtin("kafka/admin"),
		"jaeger": own("jaeger"), "zipkin": own("zipkin"), "alertmanager": own("alertmanager"), "kibana": own("kibana"), "pyroscope": own("pyroscope"),
		"kiali": own("kiali"), "argocd": own("argocd"), "influxdb": own("influxdb"), "quickwit": own("quickwit"), "mcp": own("mcp"),
		"custom": {"discovered/http"}, "openobserve": {"discovered/http"},
		"postgresql":     {"discovered/obs-postgresql-e4ba6c1b1f8dbc8f", "discovered/obs-second-3da6f2d0b1ab6bb4"},
		"otel-collector": {"dynamic-toolset"}, "redis": {"dynamic-toolset"}, "nats": {"dynamic-toolset"},
	} {
		first, second := example(kind), example(kind)
		second.Name = "second"
		if kind == "kafka" {
			first.Endpoint, second.Endpoint = "tcp://kafka.obs:9092", "tcp://second.obs:9092"
		}
		got := load(t, document(t, first, second))
		slices.Sort(want)
		if kind == "postgresql" {
			want = []string{first.databaseKey(), second.databaseKey()}
		}
		if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
			t.Errorf("%s: got %q, want %q", kind, names, want)
		}
		for name, ts := range got {
			switch {
			case ts.Enabled == (name == "dynamic-toolset") || ts.Description == "":
				t.Errorf("%s: %s is %+v", kind, name, ts)
			case schemas[name] != nil:
				if len(ts.Tools) > 0 || len(ts.Config) == 0 || ts.Instructions != "" {
					t.Errorf("%s: %s is %+v", kind, name, ts)
				}
			case name != "dynamic-toolset" && !strings.Contains(ts.Instructions, "It holds data."):
				t.Errorf("%s: nothing tells the model about %s: %q", kind, name, ts.Instructions)
			case len(ts.Tools) > 0 && len(ts.Prerequisites) != 1:
				t.Errorf("%s: nothing checks whether %s answers", kind, name)
			}
		}
	}
}

func yes() *bool { b := true; return &b }

func TestConfigs(t *testing.T) {
	none := service.Connection{}
	named := service.Connection{Tenant: "shop", Headers: []service.Header{{Name: "X-A", Value: "b"}, {Name: "X-B", Variable: "B"}}, SkipVerify: yes(), CAFile: "/ca",
		ExternalURL: "https://ext", Variables: service.Variables{Username: "P_USER", Password: "P_PASSWORD"}}
	key := service.Connection{Variables: service.Variables{APIKey: "K"}}
	token := service.Connection{Variables: service.Variables{BearerToken: "T"}}
	headers := "map[Authorization:Basic {{ env.P_BASIC_AUTH }} X-A:b X-B:{{ env.B }} X-Scope-OrgID:shop]"
	plain := "map[X-A:b X-B:{{ env.B }} X-Scope-OrgID:shop]"
	userPassword := "password:{{ env.P_PASSWORD }} username:{{ env.P_USER }}"
	for _, c := range []struct {
		key, kind, endpoint, path string
		connection                service.Connection
		want                      string
	}{
		{"prometheus/metrics", "prometheus", "http://p:9090", "", none, "map[prometheus_url:http://p:9090]"},
		{"prometheus/metrics", "mimir", "http://m:8080", "/prometheus", named, "map[additional_headers:" + headers + " prometheus_url:http://m:8080/prometheus verify_ssl:false]"},
		{"prometheus/metrics", "prometheus", "http://p:9090", "", token, "map[additional_headers:map[Authorization:Bearer {{ env.T }}] prometheus_url:http://p:9090]"},
		{"grafana/dashboards", "grafana", "http://g:3000", "", none, "map[api_url:http://g:3000]"},
		{"grafana/dashboards", "grafana", "http://g:3000", "", key, "map[api_key:{{ env.K }} api_url:http://g:3000]"},
		{"grafana/dashboards", "grafana", "http://g:3000", "", named, "map[additional_headers:" + plain + " api_url:http://g:3000 external_url:https://ext " + userPassword + " verify_ssl:false]"},
		{"grafana/loki", "loki", "http://l:3100", "", none, "map[api_url:http://l:3100]"},
		{"grafana/tempo", "tempo", "http://t:3200", "", named, "map[additional_headers:" + headers + " api_url:http://t:3200 verify_ssl:false]"},
		{"victorialogs", "victorialogs", "http://v:9428", "", token, "map[api_url:http://v:9428 bearer_token:{{ env.T }}]"},
		{"victorialogs", "victorialogs", "http://v:9428", "", named, "map[api_url:http://v:9428 external_url:https://ext headers:" + plain + " " + userPassword + " verify_ssl:false]"},
		{"rabbitmq/core", "rabbitmq", "http://r:15672", "/mq", named, "map[clusters:[map[api_url:http://r:15672/mq/ id:obs/rabbitmq " + userPassword + " verify_ssl:false]]]"},
		{"kafka/admin", "kafka", "tcp://k:9092", "", none, "map[clusters:[map[broker:k:9092 name:obs/kafka]]]"},
		{"kafka/admin", "kafka", "tcp://k:9092", "", named, "map[clusters:[map[broker:k:9092 name:obs/kafka password:{{ env.P_PASSWORD }} sasl_mechanism:{{ env.P_SASL_MECHANISM }} security_protocol:SASL_SSL ssl_ca_cert_path:/ca username:{{ env.P_USER }}]]]"},
		{"elasticsearch/data", "elasticsearch", "http://e:9200", "/es", none, "map[api_url:http://e:9200/es]"},
		{"elasticsearch/cluster", "elasticsearch", "https://e:9200", "", key, "map[api_key:{{ env.K }} api_url:https://e:9200]"},
		{"elasticsearch/data", "opensearch", "https://e:9200", "", named, "map[api_url:https://e:9200 " + userPassword + " verify_ssl:false]"},
		{"discovered/http", "custom", "http://c:80/x", "/y", named, "map[default_headers:" + plain + " endpoints:[map[auth:map[password:{{ env.P_PASSWORD }} type:basic username:{{ env.P_USER }}] hosts:[http://c:80] methods:[GET] paths:[/x/y /x/y/*]]] verify_ssl:false]"},
		{"discovered/http", "jaeger", "http://c:80", "", token, "map[endpoints:[map[auth:map[token:{{ env.T }} type:bearer] hosts:[http://c:80] methods:[GET]]]]"},
		{"discovered/obs/mcp", "mcp", "http://m:80", "/mcp", token, "map[headers:map[Authorization:Bearer {{ env.T }}] mode:streamable-http url:http://m:80/mcp]"},
	} {
		ts := example(c.kind)
		ts.Endpoint, ts.Path, ts.Connection = c.endpoint, c.path, c.connection
		got := load(t, document(t, ts))
		if s := sprint(got[c.key].Config); s != c.want {
			t.Errorf("%s at %s%s:\ngot  %s\nwant %s", c.kind, c.endpoint, c.path, s, c.want)
		}
	}
	for _, c := range []struct{ kind, endpoint, path string }{
		{"kafka", "http://k:9092", "/x"}, {"kafka", "http://k", ""}, {"prometheus", "tcp://p:9090", ""}, {"custom", "grpc://c:1", ""}, {"custom", "http://db:5432", ""},
		{"runbooks", "http://db:6379", ""}, {"mcp", "tcp://m:1", ""},
	} {
		ts := example(c.kind)
		ts.Endpoint, ts.Path = c.endpoint, c.path
		if got := load(t, document(t, ts)); got["dynamic-toolset"].Description == "" || len(got) != 1 {
			t.Errorf("%s at %s%s: there is %v", c.kind, c.endpoint, c.path, got)
		}
	}
}

// Databases are reached by a variable; the names of their tools can't be made to collide.
func TestDatabases(t *testing.T) {
	ts := example("postgresql")
	ts.Name, ts.Connection.Variables.URL = "orders.db", "ORDERS_URL"
	other := example("mongodb")
	other.Namespace, other.Name = "1", "m"
	got := load(t, document(t, ts, other, example("clickhouse")))
	for key, want := range map[string]string{
		ts.databaseKey():    "database map[connection_url:{{ env.ORDERS_URL }} read_only:true]",
		other.databaseKey(): "mongodb map[connection_url:{{ env.N1_M_DATABASE_URL }} read_only:true]",
	} {
		if s := got[key].Type + " " + sprint(got[key].Config); s != want {
			t.Errorf("%s: got %s, want %s", key, s, want)
		}
	}
	seen := map[string]string{}
	long := strings.Repeat("a", 63)
	for _, ts := range []Toolset{{Namespace: "a", Name: "b-c"}, {Namespace: "a-b", Name: "c"}, {Namespace: "a", Name: "b.c"}, {Namespace: long, Name: long}, {Namespace: long, Name: long + "-b"}} {
		tool := strings.Trim(notInToolNames.ReplaceAllString(ts.databaseKey(), "_"), "_") + "_list_collections"
		if seen[tool] != "" || !toolNames.MatchString(tool) || len(tool) > 63 {
			t.Errorf("%v has the tool %q, as %q", &ts, tool, seen[tool])
		}
		seen[tool] = ts.String()
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
			for _, p := range tool.params {
				if !strings.Contains(tool.path+strings.Join(tool.query, " "), "{"+p.name) {
					t.Errorf("%s: %s has no %s", kind, tool.verb, p.name)
				}
			}
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
// Parameters that may be left out leave nothing behind.
func TestCommandLine(t *testing.T) {
	ts := example("jaeger")
	ts.Connection = service.Connection{Tenant: "a|b", Headers: []service.Header{{Name: "X-A", Value: "b c"}}, SkipVerify: yes(), CAFile: "/ca.pem"}
	own := load(t, document(t, ts))["discovered/obs/jaeger"]
	got := own.Tools[2]
	const options = " --insecure --cacert '/ca.pem' -H 'X-Scope-OrgID: a|b' -H 'X-A: b c'"
	const want = "curl -sS --fail-with-body --globoff --max-time 30 --netrc-optional" + options + " --get" +
		" --data-urlencode 'service='{{ service }}{% if start_us and start_us != 'None' %} --data-urlencode 'start='{{ start_us }}{% endif %}" +
		"{% if end_us and end_us != 'None' %} --data-urlencode 'end='{{ end_us }}{% endif %}{% if limit and limit != 'None' %} --data-urlencode 'limit='{{ limit }}{% endif %}" +
		" 'http://jaeger.obs.svc.cluster.local:8080/api/traces'"
	if got.Name != "find_traces__obs__jaeger" || got.Command != want {
		t.Errorf("got  %s %s\nwant %s", got.Name, got.Command, want)
	}
	if !got.Parameters["service"].Required || got.Parameters["limit"].Required {
		t.Errorf("%+v", got.Parameters)
	}
	if p := own.Prerequisites[0].Command; p != "curl -sS -o /dev/null --max-time 5"+options+" 'http://jaeger.obs.svc.cluster.local:8080/'" {
		t.Errorf("the check is %s", p)
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
		"a tenant with a quote":      func(t *Toolset) { t.Connection.Tenant = "a'b" },
		"a CA file with a space":     func(t *Toolset) { t.Connection.CAFile = "/a b" },
		"a variable with Jinja":      func(t *Toolset) { t.Connection.Variables.APIKey = "A }}" },
		"a URL's variable":           func(t *Toolset) { t.Connection.Variables.URL = "a" },
		"a user without a password":  func(t *Toolset) { t.Connection.Variables.Username = "A" },
		"an external URL of scripts": func(t *Toolset) { t.Connection.ExternalURL = "javascript:1" },
		"a header with a line break": func(t *Toolset) { t.Connection.Headers = []service.Header{{Name: "A", Value: "a\nb"}} },
		"a header that is a secret":  func(t *Toolset) { t.Connection.Headers = []service.Header{{Name: "Authorization", Value: "a"}} },
		"a header without a value":   func(t *Toolset) { t.Connection.Headers = []service.Header{{Name: "A"}} },
	} {
		ts := good
		change(&ts)
		if _, err := Render(ts); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
