package output

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/service"
)

// FuzzQuote: whatever the text, it is one string of JSON and of YAML, the same in both,
// and on one line.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", `a "b" \c`, "x\"\ny: z", "\u2028\u202e\x00\x7f\u0085\ufeff\u00a0", "😀\U000E0001\xff", "{{ env.X }} $HOME %s # --- \t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := Quote(s)
		var fromJSON string
		if err := json.Unmarshal([]byte(q), &fromJSON); err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		var list []string
		if err := yaml.Unmarshal([]byte("- "+q+"\n- after\n"), &list); err != nil || len(list) != 2 || list[0] != fromJSON || list[1] != "after" {
			t.Fatalf("%q: %q, %v; in JSON %q", q, list, err, fromJSON)
		}
		if strings.ContainsAny(q, "\n\r\x00\x7f\u2028\u2029\u202e") || !utf8.ValidString(q) {
			t.Fatalf("%q", q)
		}
	})
}

// What is plainly visible stays as it is.
func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"Ünïcode 😀 ok": `"Ünïcode 😀 ok"`, "a\tb\x00c": `"a b c"`, "a\u00a0b": `"a\u00A0b"`, "\xff": `"\uFFFD"`} {
		if got := Quote(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// Only addresses that mean nothing to any form get into documents.
func TestAddresses(t *testing.T) {
	for s, ok := range map[string]bool{
		"http://a.ns.svc.cluster.local:80/x": true, "https://[2001:db8::1]:9090": true, "http://10.0.0.1:3100": true,
		"tcp://a:9092": false, "grpc://a:4317": false, "": false, "http://": false, "http://u:p@a": false, "http://a/?q=1": false, "http://a/$HOME": false,
		"http://a/{{x}}": false, "http://a\nb": false, "http://a/\"": false, "http://127.0.0.1:80": false, "http://localhost": false, "http://x.LOCALHOST.": false,
		"http://169.254.169.254/latest": false, "http://[::ffff:169.254.169.254]": false, "http://metadata.google.internal": false, "http://" + strings.Repeat("a", maxAddress): false,
	} {
		if got := address(s) != ""; got != ok {
			t.Errorf("%.40q: %v", s, got)
		}
	}
	if Own("") != nil || Own("http://127.0.0.1:8080") != nil || Own("https://h.example.com/base/").URL != "https://h.example.com/base/mcp" {
		t.Error("the own address is wrong")
	}
}

// Headers of a connection: those that are given, the tenant, and a token, each once.
func TestHeaders(t *testing.T) {
	toolset := &Toolset{Type: "loki", Connection: service.Connection{
		Headers: []service.Header{{Name: "X-A", Value: "1"}, {Name: "authorization", Variable: "MINE"}}, Tenant: "t",
		Variables: service.Variables{BearerToken: "TOKEN", APIKey: "KEY"},
	}}
	ref := func(prefix, variable string) string { return prefix + "<" + variable + ">" }
	show := func() (s string) {
		for _, h := range toolset.Headers(ref) {
			s += h.Name + "=" + h.Value + ";"
		}
		return s
	}
	if got := show(); got != "X-A=1;authorization=<MINE>;X-Scope-OrgID=t;" {
		t.Error(got)
	}
	toolset.Connection = service.Connection{Variables: service.Variables{BearerToken: "TOKEN"}}
	if got := show(); got != "Authorization=Bearer <TOKEN>;" {
		t.Error(got)
	}
	toolset.Type, toolset.Connection.Variables = "elasticsearch", service.Variables{APIKey: "KEY"}
	if got := show(); got != "Authorization=ApiKey <KEY>;" {
		t.Error(got)
	}
}

func TestShort(t *testing.T) {
	long := strings.Repeat("a", 300)
	a, b := Short(long, "1", 64), Short(long, "2", 64)
	if Short("x", "1", 64) != "x" || len(a) > 64 || a == b || a != Short(long, "1", 64) {
		t.Errorf("%q %q", a, b)
	}
}
