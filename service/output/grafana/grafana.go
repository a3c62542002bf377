// Package grafana renders toolsets as a provisioning file of data sources for Grafana
// (Grafana's documentation, "Provision Grafana", "Data sources").
package grafana

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output"
)

// Format is the name of the document in settings, and Key its key in the ConfigMap.
const (
	Format = "grafana-datasources"
	Key    = "grafana-datasources.yaml"
)

const head = `# Data sources for Grafana, written by dynamic-toolset; changes are overwritten.
# ` + service.Documentation + ` says how
# to load them and which environment variables they use.
apiVersion: 1
# What is no longer in this file is deleted. Grafana does that to data sources of such files only.
prune: true
`

// A source is how a type of back end becomes a data source: its plugin, all of which are
// part of Grafana, and what the plugin must be told.
type source struct {
	plugin string
	json   []string // lines of jsonData
}

var sources = map[string]source{
	"prometheus":      {"prometheus", []string{`prometheusType: "Prometheus"`}},
	"thanos-query":    {"prometheus", []string{`prometheusType: "Thanos"`}},
	"mimir":           {"prometheus", []string{`prometheusType: "Mimir"`}},
	"victoriametrics": {"prometheus", nil},
	"loki":            {"loki", nil},
	"tempo":           {"tempo", nil},
	"jaeger":          {"jaeger", nil},
	"zipkin":          {"zipkin", nil},
	"pyroscope":       {"grafana-pyroscope-datasource", nil},
	"elasticsearch":   {"elasticsearch", []string{`index: "*"`, `timeField: "@timestamp"`}},
	"alertmanager":    {"alertmanager", []string{`implementation: "prometheus"`}},
}

// Entry returns t as a data source; nil if Grafana has none for it.
func Entry(t *output.Toolset) []byte {
	s, ok := sources[t.Type]
	if !ok || t.URL == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %s\n    uid: %s\n    type: %s\n    access: \"proxy\"\n    url: %s\n",
		text(t.Ref()), text(UID(t.Namespace, t.Name)), text(s.plugin), text(t.URL))
	plain, secret := s.json, []string(nil)
	c := &t.Connection
	if v := &c.Variables; v.Username != "" {
		fmt.Fprintf(&b, "    basicAuth: true\n    basicAuthUser: %s\n", output.Quote(variable("", v.Username)))
		secret = append(secret, "basicAuthPassword: "+output.Quote(variable("", v.Password)))
	}
	for i, h := range t.Headers(variable) {
		plain = append(plain[:len(plain):len(plain)], fmt.Sprintf("httpHeaderName%d: %s", i+1, text(h.Name)))
		value := output.Quote(h.Value)
		if !isVariable(h.Value) {
			value = text(h.Value)
		}
		secret = append(secret, fmt.Sprintf("httpHeaderValue%d: %s", i+1, value))
	}
	if c.SkipVerify != nil && *c.SkipVerify {
		plain = append(plain[:len(plain):len(plain)], "tlsSkipVerify: true")
	}
	if c.CAFile != "" {
		plain = append(plain[:len(plain):len(plain)], "tlsAuthWithCACert: true")
		secret = append(secret, "tlsCACert: "+output.Quote("$__file{"+c.CAFile+"}"))
	}
	lines(&b, "jsonData", plain)
	lines(&b, "secureJsonData", secret)
	return []byte(b.String())
}

func lines(b *strings.Builder, name string, list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "    %s:\n", name)
	for _, l := range list {
		fmt.Fprintf(b, "      %s\n", l)
	}
}

// Document returns the document with these entries. Any of them, in this order, make one
// that is complete.
func Document(entries [][]byte) service.Document {
	d := service.Document{Key: Key, Head: []byte(head + "datasources:\n"), Entries: entries}
	if len(entries) == 0 {
		d.Head = []byte(head + "datasources: []\n")
	}
	return d
}

// UID returns the identifier of a data source, which dashboards refer to. It depends on
// nothing but the names, and has at most 40 letters, digits and '-', which Grafana demands.
func UID(namespace, name string) string {
	sum := sha256.Sum256([]byte(namespace + "/" + name))
	return "discovered-" + hex.EncodeToString(sum[:8])
}

// Grafana replaces $NAME and ${NAME} in all values, and $$ by $.

// text returns a value that has no variables.
func text(s string) string { return output.Quote(strings.ReplaceAll(s, "$", "$$")) }

// variable returns a value that is replaced by that of an environment variable of Grafana.
// Without braces, a $ in the value of the variable is left alone.
func variable(prefix, name string) string { return prefix + "$" + name }

func isVariable(s string) bool { return strings.Contains(s, "$") }
