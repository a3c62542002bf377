package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAccess(t *testing.T) {
	s := mustLoad(t, []string{"--auth=token", "--auth-audiences=toolsets,dynamic-toolset, toolsets", "--auth-cache-ttl=30s", "--auth-metrics", "--rate-limit=100"}, inCluster...)
	a := s.Access
	if !a.Tokens || !slices.Equal(a.Audiences, []string{"dynamic-toolset", "toolsets"}) || a.CacheTTL != 30*time.Second || !a.Metrics || a.RateLimit != 100 || a.RateBurst != 150 {
		t.Errorf("%+v", a)
	}
	if text := strings.Join(s.Warnings, "\n"); !strings.Contains(text, "--auth is token, and there is no TLS") {
		t.Errorf("the warnings are %q", text)
	}
	if text := strings.Join(mustLoad(t, []string{"--auth=none"}, inCluster...).Warnings, "\n"); strings.Contains(text, "TLS") {
		t.Errorf("the warnings are %q", text)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--pprof"}, "--pprof is on, and there is no auth-metrics: whoever reaches :9090 can"},
		{[]string{"--pprof", "--auth=token"}, "--pprof is on, and there is no auth-metrics"},
		{[]string{"--pprof", "--auth=token", "--auth-metrics"}, "--pprof is on: whoever may get /dynamic-toolset/debug/pprof/* can"},
	} {
		s := mustLoad(t, c.args, inCluster...)
		if text := strings.Join(s.Warnings, "\n"); !strings.Contains(text, c.want) || strings.Contains(text, "pprof") != (c.want != "") || s.HTTP.Pprof != (c.want != "") {
			t.Errorf("%v: the warnings are %q", c.args, text)
		}
	}
	for want, args := range map[string][]string{
		`--auth is "basic"; it must be none or token`:                            {"--auth=basic"},
		"--auth is token, but with --manifests there is no cluster":              {"--auth=token", "--manifests=" + t.TempDir()},
		"--auth-audiences has no effect without --auth=token":                    {"--auth-audiences=x"},
		"--auth-metrics has no effect without --auth=token":                      {"--auth-metrics"},
		`--auth-audiences holds "a b", which can't be an audience`:               {"--auth=token", "--auth-audiences=a b"},
		`--auth-audiences holds "", which can't be an audience`:                  {"--auth=token", "--auth-audiences=a,,b"},
		"--auth-audiences has 33 audiences":                                      {"--auth=token", "--auth-audiences=" + strings.Repeat("a,", 32) + "a"},
		"--auth-cache-ttl is 0s; it must be between 1s and 1h":                   {"--auth=token", "--auth-cache-ttl=0s"},
		"--auth-cache-ttl is 2h; it must be between 1s and 1h":                   {"--auth=token", "--auth-cache-ttl=2h"},
		`--mcp-origins holds "*", which is no origin`:                            {"--mcp-origins=*"},
		`--mcp-origins holds "https://a.example.com/x", which is no origin`:      {"--mcp-origins=http://b.example.com:8080,https://a.example.com/x"},
		`--mcp-origins holds "https://A.example.com", which is no origin`:        {"--mcp-origins=https://A.example.com"},
		`--mcp-origins holds "null", which is no origin`:                         {"--mcp-origins=null"},
		`--mcp-origins holds "https://*.example.com", which is no origin`:        {"--mcp-origins=https://*.example.com"},
		"--rate-limit is -1; it must be between 0 and 1000000":                   {"--rate-limit=-1"},
		"--rate-limit-burst is 0; it must be between 1 and 1000000":              {"--rate-limit-burst=0"},
		"TOOLSET_RATE_LIMIT_BURST is 2000000; it must be between 1 and 1000000 ": nil,
	} {
		env := slices.Clone(inCluster)
		if args == nil {
			env, want = append(env, "TOOLSET_RATE_LIMIT_BURST=2000000"), strings.TrimSpace(want)
		}
		if _, err := Load(args, env, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
