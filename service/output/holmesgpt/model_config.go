package holmesgpt

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// A kind is the kind of value of a field in a config.
type kind uint8

const (
	kindText   kind = iota
	kindURL         // http or https, absolute
	kindSecret      // a string with a reference {{ env.NAME }}, not the secret itself
	kindHeader      // a string that may have such references
	kindBool
	kindBroker  // host:port
	kindHeaders // an object of any names, with values of kindHeader
	kindObject
	kindList  // of objects; not empty
	kindTexts // of texts; not empty
	kindURLs  // of URLs; not empty
)

// A field is a field of an object.
type field struct {
	kind     kind
	required bool
	fields   schema // of kindObject and kindList
}

type schema map[string]field

// schemas are the configs of the built-in toolsets that this package writes, with the
// fields of HolmesGPT's models of 0.25 and later (PrometheusConfig, GrafanaConfig,
// ElasticsearchConfig, VictoriaLogsConfig, RabbitMQConfig, KafkaConfig).
var schemas = map[string]schema{
	"prometheus/metrics": several(schema{
		"prometheus_url": {kind: kindURL, required: true}, "additional_headers": {kind: kindHeaders}, "verify_ssl": {kind: kindBool},
	}),
	"grafana/dashboards": several(schema{
		"api_url": {kind: kindURL, required: true}, "api_key": {kind: kindSecret}, "username": {kind: kindSecret}, "password": {kind: kindSecret},
		"additional_headers": {kind: kindHeaders}, "external_url": {kind: kindURL}, "verify_ssl": {kind: kindBool},
	}),
	"grafana/loki": several(datasource), "grafana/tempo": several(datasource),
	"elasticsearch/data": several(elasticsearchConfig), "elasticsearch/cluster": several(elasticsearchConfig),
	"victorialogs": several(schema{
		"api_url": {kind: kindURL, required: true}, "username": {kind: kindSecret}, "password": {kind: kindSecret}, "bearer_token": {kind: kindSecret},
		"headers": {kind: kindHeaders}, "external_url": {kind: kindURL}, "verify_ssl": {kind: kindBool},
	}),
	"rabbitmq/core": {
		"clusters": {kind: kindList, required: true, fields: schema{
			"id": {required: true}, "api_url": {kind: kindURL, required: true},
			"username": {kind: kindSecret}, "password": {kind: kindSecret}, "verify_ssl": {kind: kindBool},
		}},
	},
	"kafka/admin": {
		"clusters": {kind: kindList, required: true, fields: schema{
			"name": {required: true}, "broker": {kind: kindBroker, required: true}, "security_protocol": {},
			"sasl_mechanism": {kind: kindSecret}, "username": {kind: kindSecret}, "password": {kind: kindSecret}, "ssl_ca_cert_path": {},
		}},
	},
}

var datasource = schema{
	"api_url": {kind: kindURL, required: true}, "additional_headers": {kind: kindHeaders}, "verify_ssl": {kind: kindBool},
}

var elasticsearchConfig = schema{
	"api_url": {kind: kindURL, required: true}, "api_key": {kind: kindSecret},
	"username": {kind: kindSecret}, "password": {kind: kindSecret}, "verify_ssl": {kind: kindBool},
}

// several returns the schema of a toolset that takes a list of instances besides a flat
// configuration (multi_instance.py).
func several(flat schema) schema {
	item := maps.Clone(flat)
	item["name"] = field{required: true}
	out := maps.Clone(flat)
	out["instances"] = field{kind: kindList, fields: item}
	return out
}

// allFields has the names of the fields in schemas and their instances.
var allFields = func() map[string]bool {
	all := map[string]bool{"name": true}
	for _, s := range schemas {
		for name := range s {
			all[name] = true
		}
	}
	return all
}()

// types are the entries with a type: their config, and what the names of their tools end
// with (HttpToolset, DatabaseToolset, MongoDBToolset).
var types = map[string]struct {
	config schema
	tools  []string
}{
	"http": {schema{
		"endpoints": {kind: kindList, required: true, fields: schema{
			"hosts": {kind: kindURLs, required: true}, "paths": {kind: kindTexts}, "methods": {kind: kindTexts, required: true},
			"auth": {kind: kindObject, fields: schema{
				"type": {required: true}, "token": {kind: kindSecret}, "username": {kind: kindSecret}, "password": {kind: kindSecret},
			}},
		}},
		"default_headers": {kind: kindHeaders}, "verify_ssl": {kind: kindBool},
	}, []string{"request"}},
	"database": {databaseConfig, []string{"query", "list_tables", "describe_table"}},
	"mongodb":  {databaseConfig, []string{"query", "aggregate", "list_collections", "collection_schema", "list_databases", "server_status", "current_op"}},
}

var databaseConfig = schema{
	"connection_url": {kind: kindSecret, required: true}, "read_only": {kind: kindBool, required: true}, "verify_ssl": {kind: kindBool},
}

// mcpSchema is the config of an MCP server (MCPConfig).
var mcpSchema = schema{
	"url": {kind: kindURL, required: true}, "mode": {required: true}, "headers": {kind: kindHeaders}, "verify_ssl": {kind: kindBool},
}

// object checks a mapping against a schema.
func object(v strictyaml.Value, s schema) {
	names := slices.Sorted(maps.Keys(s))
	m, ok := v.Mapping(names...)
	if !ok {
		return
	}
	for _, name := range names {
		switch {
		case m.Has(name):
			value(m.Get(name), s[name])
		case s[name].required:
			m.Bad("has no %s", name)
		}
	}
}

// envReference is a reference to an environment variable.
var envReference = regexp.MustCompile(`\{\{ env\.[A-Z][A-Z0-9_]* \}\}`)

func value(v strictyaml.Value, f field) {
	switch f.kind {
	case kindObject:
		object(v, f.fields)
		return
	case kindHeaders:
		m, _ := keyed(v)
		for _, name := range m.Keys() {
			value(m.Get(name), field{kind: kindHeader})
		}
		return
	case kindList, kindTexts, kindURLs:
		items := v.List(-1)
		if len(items) == 0 {
			v.Bad("is empty")
		}
		for _, item := range items {
			switch f.kind {
			case kindList:
				object(item, f.fields)
			case kindTexts:
				value(item, field{kind: kindText})
			default:
				value(item, field{kind: kindURL})
			}
		}
		return
	case kindBool:
		boolean(v)
		return
	}
	s, ok := quoted(v, true)
	if !ok {
		return
	}
	rest := envReference.ReplaceAllString(s, "")
	switch problem := problemOf(s, f.kind); {
	case problem != "":
		v.Bad("%s", problem)
	case f.kind == kindSecret && rest == s:
		v.Bad("must refer to an environment variable, such as {{ env.TOKEN }}, and not hold the secret")
	case f.kind != kindSecret && f.kind != kindHeader && rest != s, strings.Contains(rest, "{{"):
		v.Bad("has a reference to the environment where none belongs")
	}
}

func problemOf(s string, k kind) string {
	switch k {
	case kindURL:
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "must be an absolute http or https URL without user, query and fragment"
		}
	case kindBroker:
		u, err := url.Parse("tcp://" + s)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Port() == "" {
			return "must be a host with a port"
		}
	}
	return ""
}
