package tools

// examples has a request for each kind that has an HTTP API to query: its path below the URL
// that agents use, and its query language. Each changes nothing and answers with little. The
// paths are those of the products' documentation:
//
//	https://prometheus.io/docs/prometheus/latest/querying/api/
//	https://docs.victoriametrics.com/victorialogs/querying/
//	https://grafana.com/docs/loki/latest/reference/loki-http-api/
//	https://grafana.com/docs/tempo/latest/api_docs/
//	https://grafana.com/docs/pyroscope/latest/reference-server-api/
//	https://grafana.com/docs/grafana/latest/developers/http_api/folder_dashboard_search/
//	https://www.jaegertracing.io/docs/latest/apis/
//	https://zipkin.io/zipkin-api/
//	https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-cat-indices
//	https://www.rabbitmq.com/docs/http-api-reference
//	https://quickwit.io/docs/reference/rest-api
var examples = map[string]struct{ path, language string }{
	"prometheus":      {"/api/v1/query?query=up", "PromQL"},
	"thanos-query":    {"/api/v1/query?query=up", "PromQL"},
	"mimir":           {"/api/v1/query?query=up", "PromQL"},
	"victoriametrics": {"/api/v1/query?query=up", "MetricsQL"},
	"influxdb":        {"/query?q=SHOW%20DATABASES", "InfluxQL"},
	"loki":            {"/loki/api/v1/labels", "LogQL at /loki/api/v1/query_range"},
	"victorialogs":    {"/select/logsql/query?query=*&limit=10", "LogsQL"},
	"elasticsearch":   {"/_cat/indices?format=json", "Query DSL at /INDEX/_search"},
	"opensearch":      {"/_cat/indices?format=json", "Query DSL at /INDEX/_search"},
	"quickwit":        {"/indexes", "Lucene-like at /INDEX/search"},
	"tempo":           {"/api/search?q=%7B%7D&limit=10", "TraceQL"},
	"jaeger":          {"/api/services", ""},
	"zipkin":          {"/api/v2/services", ""},
	"pyroscope":       {"/pyroscope/render?query=process_cpu:cpu:nanoseconds:cpu:nanoseconds%7B%7D&from=now-1h", ""},
	"alertmanager":    {"/api/v2/alerts?active=true", ""},
	"grafana":         {"/api/search?type=dash-db&limit=10", ""},
	"kibana":          {"/api/status", ""},
	"rabbitmq":        {"/api/queues?columns=name,messages", ""},
	"kiali":           {"/namespaces", ""},
	"argocd":          {"/applications", ""},
}

// Example returns the request to show for a back end of a type at url, such as "GET
// http://loki:3100/loki/api/v1/labels", and its query language; empty if there is none.
func Example(typ, url string) (example, language string) {
	x, ok := examples[typ]
	if !ok {
		return "", ""
	}
	return "GET " + url + x.path, x.language
}
