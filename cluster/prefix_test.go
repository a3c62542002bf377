package cluster

import (
	"strings"
	"testing"
)

func TestPathPrefix(t *testing.T) {
	for _, tt := range []struct{ words, env, want string }{
		{"", "", ""},
		{"--config.file=/etc/p.yml --web.route-prefix=/prom", "", "/prom"},
		{"--web.route-prefix=prom/", "", "/prom"}, // as Prometheus reads it
		{"--web.external-url=https://ops.example.com/prometheus --storage.tsdb.path=/data", "", "/prometheus"},
		{"--web.external-url=https://ops.example.com/prometheus --web.route-prefix=/", "", ""}, // the proxy takes it off
		{"--web.external-url https://ops.example.com/a/b/", "", "/a/b"},
		{"--web.external-url=https://ops.example.com", "", ""},
		{"query --web.external-prefix=/thanos", "", "/thanos"},
		{"query --web.external-prefix=/public --web.route-prefix=/thanos", "", "/thanos"},
		{"-http.pathPrefix=/vm -retentionPeriod=1", "", "/vm"},
		{"-config.file=/etc/loki.yaml -server.path-prefix=/loki", "", "/loki"},
		{"--query.base-path=/jaeger", "", "/jaeger"},
		{"", "QUERY_BASE_PATH=/jaeger", "/jaeger"},
		{"", "GF_SERVER_ROOT_URL=https://ops.example.com/grafana/ GF_SERVER_SERVE_FROM_SUB_PATH=true", "/grafana"},
		{"", "GF_SERVER_ROOT_URL=https://ops.example.com/grafana/", ""}, // a proxy takes it off
		{"", "GF_SERVER_ROOT_URL=%(protocol)s://%(domain)s/grafana GF_SERVER_SERVE_FROM_SUB_PATH=true", ""},
		{"", "SERVER_BASEPATH=/kibana SERVER_REWRITEBASEPATH=true", "/kibana"},
		{"", "SERVER_BASEPATH=/kibana", ""},
		// What is no path on the wire.
		{"--web.route-prefix=$(PREFIX)", "", ""},
		{"--web.route-prefix=/{{ .Values.prefix }}", "", ""},
		{"--web.route-prefix=/../admin", "", ""},
		{"--web.route-prefix=/a//b", "", ""},
		{"--web.route-prefix=/a?b=c", "", ""},
		{"--web.route-prefix=/" + strings.Repeat("a", 500), "", ""},
		{"--web.route-prefix", "", ""},
		{"--web.route-prefixes=/prom ---web.route-prefix=/prom web.route-prefix=/prom", "", ""},
	} {
		env := map[string]string{}
		for _, v := range strings.Fields(tt.env) {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		words := strings.Fields(tt.words)
		if strings.Contains(tt.words, "{{") {
			words = []string{tt.words}
		}
		variable := func(name string) string { return env[name] }
		if got := PathPrefix(nil, words, variable); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.words, tt.env, got, tt.want)
		}
		if got := PathPrefix(words, nil, variable); got != tt.want {
			t.Errorf("%s as the command: %q, want %q", tt.words, got, tt.want)
		}
	}
}
