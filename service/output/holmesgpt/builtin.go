package holmesgpt

import (
	"net/url"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// A slot is a built-in toolset of HolmesGPT, or several with the same configuration. All
// back ends of its types are its instances.
type slot string

const (
	slotPrometheus    slot = "prometheus/metrics"
	slotGrafana       slot = "grafana/dashboards"
	slotLoki          slot = "grafana/loki"
	slotTempo         slot = "grafana/tempo"
	slotElasticsearch slot = "elasticsearch/data" // and elasticsearch/cluster; also OpenSearch
	slotVictoriaLogs  slot = "victorialogs"
	slotRabbitMQ      slot = "rabbitmq/core"
	slotKafka         slot = "kafka/admin"
)

// slots has the slot that each type of back end can fill.
var slots = map[string]slot{
	"prometheus": slotPrometheus, "thanos-query": slotPrometheus, "mimir": slotPrometheus, "victoriametrics": slotPrometheus,
	"grafana": slotGrafana, "loki": slotLoki, "tempo": slotTempo, "victorialogs": slotVictoriaLogs,
	"elasticsearch": slotElasticsearch, "opensearch": slotElasticsearch,
	"rabbitmq": slotRabbitMQ, "kafka": slotKafka,
}

// A builtin is a built-in toolset.
type builtin struct {
	name string
	slot slot
	// tools is how many it brings, by its page in HolmesGPT's documentation (2026).
	tools int
}

// builtins are the built-in toolsets that a document can have, in its order. HolmesGPT has
// more for Argo CD, Cilium and others, which are no back ends with an address.
var builtins = []builtin{
	{"prometheus/metrics", slotPrometheus, 8}, {"grafana/dashboards", slotGrafana, 4}, {"grafana/loki", slotLoki, 1}, {"grafana/tempo", slotTempo, 8},
	{"elasticsearch/data", slotElasticsearch, 3}, {"elasticsearch/cluster", slotElasticsearch, 5},
	{"victorialogs", slotVictoriaLogs, 5}, {"rabbitmq/core", slotRabbitMQ, 2}, {"kafka/admin", slotKafka, 6},
}

// Builtins returns the names of the built-in toolsets that a document can have.
func Builtins() []string {
	names := make([]string, len(builtins))
	for i, b := range builtins {
		names[i] = b.name
	}
	return names
}

// A setting is a line of YAML; sub are the lines indented below it.
type setting struct {
	name  string
	value string // YAML
	sub   []setting
}

func text(name, value string) setting { return setting{name: name, value: quote(value)} }

// env returns a reference to an environment variable of HolmesGPT, for use in a string.
func env(name string) string { return "{{ env." + name + " }}" }

// flat returns the configuration of the back end as the only one of its slot; nil if it has
// no slot, or can't fill it. For Kafka and RabbitMQ, which have lists of clusters, it is an
// item of that list. The keys are those of HolmesGPT 0.25 and later.
func (t *Toolset) flat(u *url.URL) []setting {
	base := t.Endpoint + t.Path
	if slots[t.Type] == slotKafka {
		return t.kafka(u)
	}
	if !isHTTP(u) {
		return nil
	}
	switch slots[t.Type] {
	case slotPrometheus:
		return concat([]setting{text("prometheus_url", base)}, t.headers("additional_headers", true), t.verify())
	case slotGrafana:
		return concat([]setting{text("api_url", base)}, t.credentials("api_key", "api_key"), t.headers("additional_headers", false), t.external(), t.verify())
	case slotLoki, slotTempo:
		return concat([]setting{text("api_url", base)}, t.headers("additional_headers", true), t.verify())
	case slotElasticsearch: // it has no headers
		return concat([]setting{text("api_url", base)}, t.credentials("api_key", ""), t.verify())
	case slotVictoriaLogs:
		return concat([]setting{text("api_url", base)}, t.credentials("bearer_token", "bearer_token"), t.headers("headers", false), t.external(), t.verify())
	case slotRabbitMQ:
		if t.Path != "" {
			base += "/" // paths are resolved against it, as in a browser
		}
		return concat([]setting{text("id", t.String()), text("api_url", base)}, t.credentials("", ""), t.verify())
	}
	return nil
}

func concat(lists ...[]setting) (all []setting) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// verify returns the setting for certificates, if they are not to be verified. HolmesGPT
// has none for CAs, but its environment variable CERTIFICATE.
func (t *Toolset) verify() []setting {
	if skip := t.Connection.SkipVerify; skip != nil && *skip {
		return []setting{{name: "verify_ssl", value: "false"}}
	}
	return nil
}

func (t *Toolset) external() []setting {
	if t.Connection.ExternalURL == "" {
		return nil
	}
	return []setting{text("external_url", t.Connection.ExternalURL)}
}

// credentials returns the settings for credentials: for an API key and for a bearer token by
// these names, if the toolset has such settings, and else for a user and a password.
func (t *Toolset) credentials(apiKey, bearer string) []setting {
	v := &t.Connection.Variables
	switch {
	case v.APIKey != "" && apiKey != "":
		return []setting{text(apiKey, env(v.APIKey))}
	case v.BearerToken != "" && bearer != "":
		return []setting{text(bearer, env(v.BearerToken))}
	case v.Username != "":
		return []setting{text("username", env(v.Username)), text("password", env(v.Password))}
	}
	return nil
}

// headers returns the setting for headers. If authorize is set, the toolset has no other
// setting for credentials, and they become a header.
func (t *Toolset) headers(name string, authorize bool) []setting {
	c := &t.Connection
	var list []setting
	if c.Tenant != "" {
		list = append(list, text(service.TenantHeader, c.Tenant))
	}
	for _, h := range c.Headers {
		value := h.Value
		if h.Variable != "" {
			value = env(h.Variable)
		}
		list = append(list, text(h.Name, value))
	}
	if value := authorization(&c.Variables); authorize && value != "" {
		list = append(list, text("Authorization", value))
	}
	if len(list) == 0 {
		return nil
	}
	return []setting{{name: name, sub: list}}
}

// authorization returns the value of the header Authorization; empty for none.
func authorization(v *service.Variables) string {
	switch {
	case v.BearerToken != "":
		return "Bearer " + env(v.BearerToken)
	case v.APIKey != "":
		return "Bearer " + env(v.APIKey)
	case v.Username != "":
		return "Basic " + env(basicVariable(v))
	}
	return ""
}

// basicVariable returns the name of the variable with user:password in base64, which the
// header needs: PROMETHEUS_BASIC_AUTH beside PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD.
func basicVariable(v *service.Variables) string { return stem(v) + "_BASIC_AUTH" }

func stem(v *service.Variables) string {
	return strings.TrimSuffix(strings.TrimSuffix(v.Username, "_USERNAME"), "_USER")
}

// kafka returns the item for the list of clusters in kafka/admin; nil if the endpoint is
// not just host and port.
func (t *Toolset) kafka(u *url.URL) []setting {
	if t.Path != "" || u.Path != "" || u.Port() == "" {
		return nil
	}
	list := []setting{text("name", t.String()), text("broker", u.Host)}
	v, protocol := &t.Connection.Variables, "SASL_PLAINTEXT"
	if ca := t.Connection.CAFile; ca != "" {
		list = append(list, text("ssl_ca_cert_path", ca))
		protocol = "SASL_SSL"
	}
	switch {
	case v.Username != "":
		list = append(list, text("security_protocol", protocol), text("sasl_mechanism", env(stem(v)+"_SASL_MECHANISM")),
			text("username", env(v.Username)), text("password", env(v.Password)))
	case protocol == "SASL_SSL":
		list = append(list, text("security_protocol", "SSL"))
	}
	return list
}

// secret reports whether the settings name an environment variable.
func secret(list []setting) bool {
	for _, s := range list {
		if strings.Contains(s.value, "{{ env.") || secret(s.sub) {
			return true
		}
	}
	return false
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

// writeItem appends the settings to b as an item of a list, indented.
func writeItem(b []byte, indent int, list []setting) []byte {
	at := len(b) + indent
	b = write(b, indent+2, list)
	b[at] = '-'
	return b
}
