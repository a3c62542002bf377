package endpoint

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:8080":             "http://127.0.0.1:8080",
		"HTTP://Grafana.Monitoring:3000///": "http://grafana.monitoring:3000",
		"https://h/a/b-c_d.e~f:g@h+i,j=k/":  "https://h/a/b-c_d.e~f:g@h+i,j=k",
		"http://[FE80::1]:0080":             "http://[fe80::1]:80",
	} {
		if got, problem := Parse(in); got != want || problem != "" {
			t.Errorf("%q: got %q %q, want %q", in, got, problem, want)
		}
	}
	for in, want := range map[string]string{
		"":                                     "must not be empty",
		"grafana:3000":                         "absolute http or https URL",
		"//grafana:3000":                       "absolute http or https URL",
		"file:///etc/passwd":                   "absolute http or https URL",
		"tcp://kafka:9092":                     "absolute http or https URL",
		"http://":                              "must have a host",
		"http://:80":                           "must have a host",
		"http://a_b":                           "must have a host",
		"http://a..b":                          "must have a host",
		"http://127.1":                         "must have a host",
		"http://0x7f.1":                        "", // not an IP address, and the last label begins with a digit
		"http://[::1%25eth0]":                  "must have a host",
		"http://[127.0.0.1]":                   "must have a host",
		"http://bücher.example":                "must have a host",
		"http://h:0":                           "must have a port",
		"http://h:65536":                       "must have a port",
		"http://h:":                            "must have a port",
		"http://h:+80":                         "must have a port",
		"http://[::1]x80":                      "must have a port",
		"http://u:p@h":                         "user name or password",
		"http://h#f":                           "fragment",
		"http://h?q=1":                         "query",
		"http://h/a b":                         "has a path that must consist of",
		"http://h/$(id)":                       "has a path that must consist of",
		"http://h/`id`":                        "has a path that must consist of",
		"http://h/a;b":                         "has a path that must consist of",
		"http://h/a'b":                         "has a path that must consist of",
		"http://h/{{env.X}}":                   "has a path that must consist of",
		"http://h/%24":                         "has a path that must consist of",
		"http://h/a\\b":                        "has a path that must consist of",
		"http://h/a\nb":                        "has a path that must consist of",
		"http://h/../b":                        "segments",
		"http://h//b":                          "segments",
		"http://h/" + strings.Repeat("a", 3e3): "at most 2048",
	} {
		if want == "" {
			want = "must have a host"
		}
		if got, problem := Parse(in); got != "" || !strings.Contains(problem, want) {
			t.Errorf("%.60q: got %q %q, want %q", in, got, problem, want)
		}
	}
}

func TestIsLine(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "Métriques de l'équipe 日本 \U0001f600": true, "\ufffd": true,
		"a\nb": false, "\t": false, "\x1b[31m": false, "\u0085": false, "\u2028": false, "\u2029": false, "\u202e": false, "\xff": false,
		"a\ufffeb": false, "\ufdd0": false, "\U0010ffff": false,
	} {
		if got := IsLine(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
