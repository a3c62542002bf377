package overrides

import (
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

const whole = `
toolsets:
- name: prom
  namespace: monitoring
  connection:
    tenant: shop
    headers: {X-Team: platform, X-Key: {env: GATEWAY_KEY}}
    tlsVerify: true
    caFile: /etc/ssl/ca.pem
    externalUrl: HTTPS://Prometheus.example.com/
    usernameEnv: PROM_USER
    passwordEnv: PROM_PASSWORD
- {name: db, namespace: shop, add: true, type: postgresql, url: "tcp://db.shop:5432", connection: {urlEnv: SHOP_DB}}
`

func TestConnection(t *testing.T) {
	o := mustOverrides(t, whole)
	b := discovered()
	b.Connection = &service.Connection{Tenant: "annotated", ExternalURL: "http://annotated.example.com"}
	got, yes := o.Apply(b), false
	want := &service.Connection{
		Tenant: "shop", Headers: []service.Header{{Name: "X-Key", Variable: "GATEWAY_KEY"}, {Name: "X-Team", Value: "platform"}},
		SkipVerify: &yes, CAFile: "/etc/ssl/ca.pem", ExternalURL: "https://prometheus.example.com",
		Variables: service.Variables{Username: "PROM_USER", Password: "PROM_PASSWORD"},
	}
	if !got.Connection.Equal(want) || b.Connection.Tenant != "annotated" {
		t.Errorf("got %+v; before %+v", got.Connection, b.Connection)
	}
	if m := o.Explain(b); len(m) != 1 || !strings.HasPrefix(m[0].Changes[0], "connection: tenant shop, header X-Key, header X-Team, tlsVerify true, caFile") {
		t.Errorf("explained: %q", m)
	}
	if added := o.Added(); len(added) != 1 || added[0].Connection.Variables.URL != "SHOP_DB" {
		t.Errorf("added: %+v", added)
	}
}

// Mistakes are told with their place, and secrets are not repeated.
func TestConnectionMistakes(t *testing.T) {
	const secret = "glsa_HOruNAb7SOiCdshU9algkrq7F"
	for connection, want := range map[string]string{
		"{}":                                "connection: says nothing; leave it out, or write some of tenant, headers, ",
		"[a]":                               "connection: must be a mapping, not a list",
		"{tennant: a}":                      "connection.tennant: is unknown; did you mean tenant?",
		"{x: a}":                            "connection.x: is unknown; the fields are tenant, headers, tlsVerify, caFile, externalUrl, apiKeyEnv, ",
		"{password: " + secret + "}":        "connection.password: is unknown, as no secret must be written here; give it to the agent as an environment variable, and write the name of that in passwordEnv",
		"{api_key: a}":                      "write the name of that in apiKeyEnv",
		"{apiKeyEnv: " + secret + "}":       "connection.apiKeyEnv: must be the name of an environment variable of the agent, such as GRAFANA_API_KEY: capital letters, digits and _, beginning with a letter; this looks like a secret",
		"{apiKeyEnv: grafanaKey}":           "connection.apiKeyEnv: must be the name of an environment variable",
		"{apiKeyEnv: A, bearerTokenEnv: B}": "connection: has several kinds of credentials",
		"{usernameEnv: A}":                  "connection.passwordEnv: is missing, without which a user name is of no use",
		"{passwordEnv: A}":                  "connection.usernameEnv: is missing, without which a password is of no use",
		"{tenant: 'a b'}":                   "connection.tenant: must consist of",
		"{tlsVerify: 'no'}":                 "connection.tlsVerify: must be true or false",
		"{tlsVerify: false, caFile: /ca}":   "connection.caFile: makes no sense with tlsVerify: false",
		"{caFile: ca.pem}":                  "connection.caFile: must be the absolute path of a file at the agent",
		"{externalUrl: grafana}":            "connection.externalUrl: must be an absolute http or https URL",
		"{headers: a}":                      "connection.headers: must be a mapping, not \"a\"",
		"{headers: {Host: a}}":              "connection.headers.Host: is set by the HTTP client itself",
		"{headers: {X-Scope-OrgID: a}}":     "connection.headers.X-Scope-OrgID: is a tenant; write it in the field tenant",
		"{headers: {Authorization: " + secret + "}}": "connection.headers.Authorization: is a header for secrets, whose value must not be written here; name an environment variable",
		"{headers: {X-A: " + secret + "}}":           "connection.headers.X-A: looks like a secret",
		"{headers: {X-A: {}}}":                       "connection.headers.X-A.env: is missing",
		"{headers: {X-A: {env: a}}}":                 "connection.headers.X-A.env: must be the name of an environment variable",
		"{headers: {X-A: {evn: A}}}":                 "connection.headers.X-A.evn: is unknown; did you mean env?",
		"{headers: {X-A: a, x-a: b}}":                "connection.headers.x-a: is the same header as X-A",
		"{headers: {X-A: 5}}":                        "connection.headers.X-A: must be a text, not \"5\"",
	} {
		doc := "toolsets:\n- name: a\n  namespace: b\n  connection: " + connection + "\n"
		o, wrong := Parse([]byte(doc))
		var all []string
		for _, w := range wrong {
			all = append(all, w.Field+": "+w.Message)
		}
		said := strings.Join(all, "\n")
		if o != nil || !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, want) && strings.Contains(s, "(line 4)") }) {
			t.Errorf("%s: got\n%s\nwant %s", connection, said, want)
		}
		if strings.Contains(said, secret) {
			t.Errorf("%s: repeats the secret:\n%s", connection, said)
		}
	}
	if _, wrong := Parse([]byte("toolsets: [{name: grafana, connection: {apiKeyEnv: A}}]")); len(wrong) != 1 || wrong[0].Field != "toolsets[0].namespace" {
		t.Errorf("credentials for a name in any namespace: %v", wrong)
	}
}
