package endpoint

import (
	"strings"
	"testing"
)

// The values are made up, in the forms that the products' documentation shows.
var secrets = []string{
	"glsa_HOruNAb7SOiCdshU9algkrq7F" + "DsNSLAa_55e2f8be", "Bearer abc", "basic dXNlcjpwYXNz", "eyJhbGciOiJIUzI1NiJ9.e30.abc",
	"AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "sk-abcdefghijklmnopqrstuv", "xoxb-1-2-abc", "glpat-x",
	"9f86d081884c7d659a2feaa0c55ad015", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "-----BEGIN PRIVATE KEY-----", "id=q7Hs82kQpz0Lw4Rm1XyT",
}

// What looks like a secret is refused everywhere, and never repeated in a message.
func TestSecretsAreRefused(t *testing.T) {
	for _, s := range secrets {
		for what, problem := range map[string]string{"variable": VariableProblem(s), "header": HeaderValueProblem("X-Team", s)} {
			if problem == "" || strings.Contains(problem, s) {
				t.Errorf("%s %q: %q", what, s, problem)
			}
		}
		if what := HeaderValueProblem("X-Team", s); !strings.Contains(what, "looks like a secret") {
			t.Errorf("%q: %s", s, what)
		}
	}
	for _, name := range []string{"Authorization", "cookie", "X-Api-Key", "X-Auth-User", "Private-Token", "X-Vault-Token", "DD-API-KEY", "X-Amz-Signature", "Proxy-Authorization"} {
		if p := HeaderValueProblem(name, "plain"); !strings.Contains(p, "for secrets") {
			t.Errorf("%s: %q", name, p)
		}
	}
}

// Ordinary values are no secrets.
func TestConnectionValues(t *testing.T) {
	for _, c := range []struct {
		problem    func(string) string
		good, evil []string
	}{
		{VariableProblem, []string{"GRAFANA_API_KEY", "A", "SHOP_PROD_ELASTICSEARCH_2_PASSWORD", "OPENSEARCH_DASHBOARDS_SERVICE_ACCOUNT_TOKEN_V2"},
			[]string{"", "grafana", "1A", "A-B", "$A", "A B", "{{ env.A }}", "A\n", strings.Repeat("A", 129), "_A"}},
		{TenantProblem, []string{"shop", "team-a|team_b", "anonymous", "1", "7d9b1b1e-6a1c-4b0e-9f0e-2d6b8c1f3a55", "a.b!c*(d)"},
			[]string{"", "a b", "a'b", "{{a}}", "a$b", "a/b", strings.Repeat("a", 151), "glsa_abc", "ä", "a\nb"}},
		{HeaderProblem, []string{"X-Team", "x_scope", "CF-Access-Client-Id", "Authorization"},
			[]string{"", "A B", "A:", "Host", "content-length", "a\r\nb", strings.Repeat("a", 65)}},
		{func(s string) string { return HeaderValueProblem("X-Team", s) },
			[]string{"platform", "a b", "application/vnd.kafka.json.v2+json; q=0.9", "prod-eu-west-1-observability-platform", "https://grafana.example.com/d/abc?x=1"},
			[]string{"", " a", "a\nb", "a'b", "a\"b", "$HOME", "{{ env.A }}", "a\\b", "ä", "`a`", strings.Repeat("a", 257)}},
		{FileProblem, []string{"/etc/ssl/certs/ca.pem", "/a"},
			[]string{"", "ca.pem", "/a/../b", "/a b", "/", "/etc/", "-----BEGIN CERTIFICATE-----", "/a$b", "/{{a}}"}},
	} {
		for _, s := range c.good {
			if p := c.problem(s); p != "" {
				t.Errorf("%q %s", s, p)
			}
		}
		for _, s := range c.evil {
			if c.problem(s) == "" {
				t.Errorf("%q is accepted", s)
			}
		}
	}
}
