// Package kubernautvalues renders the back ends that Kubernaut itself asks as values of its
// Helm chart (charts/kubernaut, since 1.4: "monitoring"). Kubernaut takes one Prometheus and
// one Alertmanager.
package kubernautvalues

import (
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output"
)

// Format is the name of the document in settings, and Key its key in the ConfigMap.
const (
	Format = "kubernaut-values"
	Key    = "kubernaut-values.yaml"
)

const head = `# Values for Kubernaut's Helm chart, written by dynamic-toolset; changes are overwritten.
# ` + service.Documentation + ` says how to use them.
`

// A Place is a field of the values.
type Place int

// The places.
const (
	Nowhere Place = iota
	Prometheus
	Alertmanager
)

// PlaceOf returns where a type of back end belongs. All that speak PromQL at a URL will do
// for the first.
func PlaceOf(kind string) Place {
	switch kind {
	case "prometheus", "thanos-query", "mimir", "victoriametrics":
		return Prometheus
	case "alertmanager":
		return Alertmanager
	}
	return Nowhere
}

// Document returns the values for these two; each may be nil.
func Document(prometheus, alertmanager *output.Toolset) service.Document {
	d := service.Document{Key: Key, Head: []byte(head + "monitoring:\n")}
	for _, f := range []struct {
		name string
		t    *output.Toolset
	}{{"prometheus", prometheus}, {"alertManager", alertmanager}} {
		if f.t == nil {
			continue
		}
		var b strings.Builder
		b.WriteString("  # " + f.t.Type + " " + f.t.Ref() + "\n")
		for _, h := range f.t.Headers(func(_, _ string) string { return "x" }) {
			b.WriteString("  # It is said to need the header " + h.Name + ", which Kubernaut can't send.\n")
		}
		b.WriteString("  " + f.name + ":\n    enabled: true\n    url: " + output.Quote(f.t.URL) + "\n")
		if f.t.Connection.CAFile != "" {
			b.WriteString("    tlsCaFile: " + output.Quote(f.t.Connection.CAFile) + "\n")
		}
		d.Entries = append(d.Entries, []byte(b.String()))
	}
	if len(d.Entries) == 0 {
		d.Head = []byte(head + "{}\n")
	}
	return d
}
