package holmesgpt

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// A kind is the kind of value of a field in a config.
type kind uint8

const (
	kindText   kind = iota
	kindURL         // http or https, absolute
	kindSecret      // a string with a reference {{ env.NAME }}, not the secret itself
	kindBool
	kindPort
	kindHost   // a name or an address
	kindBroker // host:port
	kindObject
	kindList // of objects; not empty
)

// A field is a field of an object.
type field struct {
	kind     kind
	required bool
	fields   schema // of kindObject and kindList; if empty, any fields with strings
}

type schema map[string]field

// schemas are the configs of the built-in toolsets that this package writes, with the
// fields of HolmesGPT's models (PrometheusConfig, GrafanaConfig, OpenSearchConfig,
// BaseOpenSearchConfig, ElasticsearchConfig, RabbitMQConfig, KafkaConfig).
var schemas = map[string]schema{
	"prometheus/metrics": {
		"prometheus_url": {kind: kindURL, required: true}, "healthcheck": {}, "headers": {kind: kindObject},
		"additional_labels": {kind: kindObject}, "prometheus_ssl_enabled": {kind: kindBool},
	},
	"grafana/dashboards": {
		"url": {kind: kindURL, required: true}, "api_key": {kind: kindSecret}, "headers": {kind: kindObject},
		"external_url": {kind: kindURL}, "healthcheck": {},
	},
	"grafana/loki":  datasource,
	"grafana/tempo": datasource,
	"opensearch/status": {
		"opensearch_clusters": {kind: kindList, required: true, fields: schema{
			"hosts":   {kind: kindList, required: true, fields: schema{"host": {kind: kindHost, required: true}, "port": {kind: kindPort, required: true}}},
			"use_ssl": {kind: kindBool}, "verify_certs": {kind: kindBool}, "ssl_assert_hostname": {kind: kindBool}, "ssl_show_warn": {kind: kindBool},
			"headers":   {kind: kindObject},
			"http_auth": {kind: kindObject, fields: schema{"username": {kind: kindSecret, required: true}, "password": {kind: kindSecret, required: true}}},
		}},
	},
	"opensearch/logs": {
		"opensearch_url": {kind: kindURL, required: true}, "index_pattern": {required: true},
		"opensearch_auth_header": {kind: kindSecret}, "labels": {kind: kindObject},
	},
	"elasticsearch/data":    elasticsearchConfig,
	"elasticsearch/cluster": elasticsearchConfig,
	"rabbitmq/core": {
		"clusters": {kind: kindList, required: true, fields: schema{
			"id": {required: true}, "management_url": {kind: kindURL, required: true},
			"username": {kind: kindSecret}, "password": {kind: kindSecret}, "verify_certs": {kind: kindBool},
		}},
	},
	"kafka/admin": {
		"kafka_clusters": {kind: kindList, required: true, fields: schema{
			"name": {required: true}, "kafka_broker": {kind: kindBroker, required: true}, "kafka_security_protocol": {},
			"kafka_sasl_mechanism": {}, "kafka_username": {kind: kindSecret}, "kafka_password": {kind: kindSecret}, "kafka_client_id": {},
		}},
	},
}

var datasource = schema{
	"url": {kind: kindURL, required: true}, "api_key": {kind: kindSecret}, "headers": {kind: kindObject},
	"grafana_datasource_uid": {}, "external_url": {kind: kindURL}, "healthcheck": {}, "labels": {kind: kindObject},
}

var elasticsearchConfig = schema{
	"api_url": {kind: kindURL, required: true}, "api_key": {kind: kindSecret},
	"username": {kind: kindSecret}, "password": {kind: kindSecret}, "verify_ssl": {kind: kindBool},
}

// object checks a mapping against a schema.
func object(v strictyaml.Value, s schema) {
	if len(s) == 0 {
		m, _ := keyed(v)
		for _, name := range m.Keys() {
			value(m.Get(name), field{kind: kindText})
		}
		return
	}
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
	case kindList:
		items := v.List(-1)
		if len(items) == 0 {
			v.Bad("is empty")
		}
		for _, item := range items {
			object(item, f.fields)
		}
		return
	case kindBool:
		boolean(v)
		return
	case kindPort:
		s := plain(v)
		if p, err := strconv.ParseUint(s, 10, 16); err != nil || p == 0 || s[0] == '0' {
			v.Bad("must be a port")
		}
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
	case f.kind != kindSecret && rest != s && !strings.Contains(v.Field(), ".headers."), strings.Contains(rest, "{{"):
		v.Bad("has a reference to the environment where none belongs")
	}
}

func problemOf(s string, k kind) string {
	switch k {
	case kindURL:
		if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "must be an absolute http or https URL without user, query and fragment"
		}
	case kindHost, kindBroker:
		if k == kindHost && strings.Contains(s, ":") {
			s = "[" + s + "]" // an IPv6 address
		}
		u, err := url.Parse("tcp://" + s)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || (u.Port() != "") != (k == kindBroker) {
			return "must be a host, with a port if it is a broker"
		}
	}
	return ""
}
