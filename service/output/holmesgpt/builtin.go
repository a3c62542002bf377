package holmesgpt

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A slot is a built-in toolset of HolmesGPT, or several that need the same back end. One
// back end fills it.
type slot string

const (
	slotPrometheus    slot = "prometheus/metrics"
	slotGrafana       slot = "grafana/dashboards"
	slotLoki          slot = "grafana/loki"
	slotTempo         slot = "grafana/tempo"
	slotElasticsearch slot = "elasticsearch" // also OpenSearch; several toolsets
	slotRabbitMQ      slot = "rabbitmq/core"
	slotKafka         slot = "kafka/admin"
)

// slots has the slot that each type of back end can fill.
var slots = map[string]slot{
	"prometheus": slotPrometheus, "thanos-query": slotPrometheus, "mimir": slotPrometheus, "victoriametrics": slotPrometheus,
	"grafana": slotGrafana, "loki": slotLoki, "tempo": slotTempo,
	"elasticsearch": slotElasticsearch, "opensearch": slotElasticsearch,
	"rabbitmq": slotRabbitMQ, "kafka": slotKafka,
}

// A setting is a line of a built-in toolset's config; sub are the lines indented below it.
type setting struct {
	name  string
	value string // YAML
	sub   []setting
}

// A builtin is the entry for one built-in toolset.
type builtin struct {
	key    string
	config []setting
}

func text(name, value string) setting { return setting{name: name, value: quote(value)} }

// env returns a reference to an environment variable of HolmesGPT, for use in a string.
func env(name string) string { return "{{ env." + name + " }}" }

// builtins returns the entries with which the back end fills its slot. u is its endpoint.
func (t *Toolset) builtins(u *url.URL) []builtin {
	base := t.Endpoint + t.Path
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	switch slots[t.Type] {
	case slotPrometheus:
		config := []setting{text("prometheus_url", base)}
		if t.Type != "prometheus" || t.Path != "" {
			// Releases of 2025 check the health with a GET of this; the default, -/healthy,
			// only works with Prometheus.
			config = append(config, text("healthcheck", "api/v1/query?query=up"))
		}
		return []builtin{{string(slotPrometheus), config}}
	case slotGrafana:
		return []builtin{{string(slotGrafana), []setting{text("url", base), text("api_key", env("GRAFANA_API_KEY"))}}}
	case slotLoki:
		return []builtin{{string(slotLoki), []setting{text("url", base)}}}
	case slotTempo:
		return []builtin{{string(slotTempo), []setting{text("url", base)}}}
	case slotElasticsearch:
		return t.elasticsearch(u)
	case slotRabbitMQ:
		if t.Path != "" {
			base += "/" // paths are resolved against it, as in a browser
		}
		return []builtin{{string(slotRabbitMQ), []setting{{name: "clusters", sub: []setting{
			text("- id", t.String()), text("  management_url", base),
			text("  username", env("RABBITMQ_USERNAME")), text("  password", env("RABBITMQ_PASSWORD")),
		}}}}}
	}
	return nil
}

// elasticsearch returns the toolsets for Elasticsearch and OpenSearch: two for the releases
// of 2026, then two for those of 2025. Credentials are used with TLS only: clusters without
// it rarely need them, and anyone could read them.
func (t *Toolset) elasticsearch(u *url.URL) []builtin {
	base := t.Endpoint + t.Path
	data := []setting{text("api_url", base)}
	logs := []setting{text("opensearch_url", base), text("index_pattern", "*")}
	cluster := []setting{{name: "- hosts", sub: []setting{{name: "- host", value: quote(u.Hostname())}, {name: "  port", value: port(u)}}}}
	tls := u.Scheme == "https"
	cluster = append(cluster, setting{name: "  use_ssl", value: strconv.FormatBool(tls)}, setting{name: "  verify_certs", value: strconv.FormatBool(tls)})
	switch {
	case tls && t.Type == "opensearch":
		name, password := env("OPENSEARCH_USERNAME"), env("OPENSEARCH_PASSWORD")
		data = append(data, text("username", name), text("password", password))
		logs = append(logs, text("opensearch_auth_header", env("OPENSEARCH_AUTH_HEADER")))
		cluster = append(cluster, setting{name: "  http_auth", sub: []setting{text("  username", name), text("  password", password)}})
	case tls:
		apiKey := env("ELASTICSEARCH_API_KEY")
		data = append(data, text("api_key", apiKey))
		logs = append(logs, text("opensearch_auth_header", "ApiKey "+apiKey))
		cluster = append(cluster, setting{name: "  headers", sub: []setting{text("  Authorization", "ApiKey "+apiKey)}})
	}
	all := []builtin{{"elasticsearch/data", data}, {"elasticsearch/cluster", data}}
	if t.Path == "" { // these two don't support paths
		all = append(all, builtin{"opensearch/logs", logs}, builtin{"opensearch/status", []setting{{name: "opensearch_clusters", sub: cluster}}})
	}
	return all
}

// kafka returns the item for the list of clusters in kafka/admin; nil if the endpoint is
// not just host and port.
func (t *Toolset) kafka(u *url.URL) []byte {
	if t.Path != "" || u.Path != "" || u.Port() == "" {
		return nil
	}
	return fmt.Appendf(nil, "        - name: %s\n          kafka_broker: %s\n", quote(t.String()), quote(u.Host))
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// write appends the settings to b, indented.
func write(b []byte, indent int, list []setting) []byte {
	for _, s := range list {
		b = append(append(b, strings.Repeat(" ", indent)...), s.name...)
		b = append(b, ':')
		if s.value != "" {
			b = append(append(b, ' '), s.value...)
		}
		b = append(b, '\n')
		b = write(b, indent+2, s.sub)
	}
	return b
}
