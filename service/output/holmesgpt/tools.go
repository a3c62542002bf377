package holmesgpt

// Parameters that several tools have.
var (
	start    = param{"start", "Start of the time range, RFC 3339 or Unix seconds"}
	end      = param{"end", "End of the time range, RFC 3339 or Unix seconds"}
	limit    = param{"limit", "How many results to return at most, such as 20"}
	traceID  = param{"trace_id", "The trace's ID in hexadecimal digits"}
	endMS    = param{"end_ms", "End of the time range, Unix milliseconds"}
	lookback = param{"lookback_ms", "Length of the time range that ends there, milliseconds, such as 3600000"}
	promQL   = param{"query", "PromQL expression"}
	logsQL   = param{"query", "LogsQL query, such as error AND kubernetes.pod_namespace:shop"}

	application = param{"application", "Name of the application"}

	label = param{"label", "Name of the label; __name__ for the names of metrics"}
	index = param{"index", "Name or pattern of the indexes, such as logs-*"}
)

var prometheusTools = []tool{
	{"query", "Run a PromQL query for one moment, now", "/api/v1/query", []string{"query={query}"}, []param{promQL}},
	{"query_range", "Run a PromQL query over a time range", "/api/v1/query_range",
		[]string{"query={query}", "start={start}", "end={end}", "step={step}"},
		[]param{promQL, start, end, {"step", "Resolution, such as 30s or 5m"}}},
	{"list_label_values", "List the values of a label", "/api/v1/label/{label}/values", nil, []param{label}},
	{"find_series", "Find the series that a selector matches, with their labels", "/api/v1/series",
		[]string{"match[]={selector}", "start={start?}", "end={end?}"},
		[]param{{"selector", `Series selector, such as up{job="api"}`}, start, end}},
}

var prometheusAlerts = tool{"list_alerts", "List the alerts that are pending or fire", "/api/v1/alerts", nil, nil}

var elasticsearchTools = []tool{
	{"get_cluster_health", "Read the health of the cluster", "/_cluster/health", nil, nil},
	{"list_indexes", "List the indexes with health, documents and size", "/_cat/indices", []string{"format=json"}, nil},
	{"get_mapping", "Read which fields the documents of an index have", "/{index}/_mapping", nil, []param{index}},
	{"search_documents", "Search documents, newest first", "/{index}/_search",
		[]string{"q={query?}", "size={limit?}", "sort=@timestamp:desc"},
		[]param{index, {"query", `Query in Lucene syntax, such as level:error AND kubernetes.namespace_name:"shop"`}, limit}},
}

// tools has the tools for each type of back end with an HTTP API. The paths are from the
// products' API references.
var tools = map[string][]tool{
	"prometheus":      append([]tool{prometheusAlerts}, prometheusTools...),
	"thanos-query":    append([]tool{prometheusAlerts}, prometheusTools...),
	"mimir":           append([]tool{prometheusAlerts}, prometheusTools...),
	"victoriametrics": prometheusTools,
	"elasticsearch":   elasticsearchTools,
	"opensearch":      elasticsearchTools,
	"grafana": {
		{"search_dashboards", "Search dashboards by title", "/api/search", []string{"type=dash-db", "query={title?}", "limit={limit?}"},
			[]param{{"title", "Part of the title; all without it"}, limit}},
		{"get_dashboard", "Read a dashboard with its panels and their queries", "/api/dashboards/uid/{uid}", nil,
			[]param{{"uid", "UID of the dashboard, from its search"}}},
		{"list_data_sources", "List the data sources", "/api/datasources", nil, nil},
	},
	"loki": {
		{"query_logs", "Run a LogQL query over a time range", "/loki/api/v1/query_range",
			[]string{"query={query}", "start={start?}", "end={end?}", "limit={limit?}"},
			[]param{{"query", `LogQL query, such as {namespace="shop"} |= "error"`}, start, end, limit}},
		{"list_labels", "List the names of the labels", "/loki/api/v1/labels", nil, nil},
		{"list_label_values", "List the values of a label", "/loki/api/v1/label/{label}/values", nil,
			[]param{{"label", "Name of the label"}}},
	},
	"tempo": {
		{"search_traces", "Search traces by TraceQL", "/api/search",
			[]string{"q={query}", "start={start_s?}", "end={end_s?}", "limit={limit?}"},
			[]param{{"query", `TraceQL query, such as { resource.service.name = "cart" && status = error }`},
				{"start_s", "Start of the time range, Unix seconds"}, {"end_s", "End of the time range, Unix seconds"}, limit}},
		{"get_trace", "Read a trace with all its spans", "/api/traces/{trace_id}", nil, []param{traceID}},
		{"list_tags", "List the names of the attributes to search by", "/api/search/tags", nil, nil},
	},
	"jaeger": {
		{"list_services", "List the services that have sent traces", "/api/services", nil, nil},
		{"list_operations", "List the operations of a service", "/api/operations", []string{"service={service}"},
			[]param{{"service", "Name of the service"}}},
		{"find_traces", "Find traces of a service", "/api/traces",
			[]string{"service={service}", "start={start_us?}", "end={end_us?}", "limit={limit?}"},
			[]param{{"service", "Name of the service"}, {"start_us", "Start of the time range, Unix microseconds"},
				{"end_us", "End of the time range, Unix microseconds"}, limit}},
		{"get_trace", "Read a trace with all its spans", "/api/traces/{trace_id}", nil, []param{traceID}},
		{"list_dependencies", "List which services call which", "/api/dependencies",
			[]string{"endTs={end_ms?}", "lookback={lookback_ms?}"}, []param{endMS, lookback}},
	},
	"zipkin": {
		{"list_services", "List the services that have sent traces", "/api/v2/services", nil, nil},
		{"list_spans", "List the names of the spans of a service", "/api/v2/spans", []string{"serviceName={service}"},
			[]param{{"service", "Name of the service"}}},
		{"find_traces", "Find traces of a service", "/api/v2/traces",
			[]string{"serviceName={service?}", "endTs={end_ms?}", "lookback={lookback_ms?}", "limit={limit?}"},
			[]param{{"service", "Name of the service"}, endMS, lookback, limit}},
		{"get_trace", "Read a trace with all its spans", "/api/v2/trace/{trace_id}", nil, []param{traceID}},
		{"list_dependencies", "List which services call which", "/api/v2/dependencies",
			[]string{"endTs={end_ms}", "lookback={lookback_ms?}"}, []param{endMS, lookback}},
	},
	"alertmanager": {
		{"list_active_alerts", "List the alerts that fire and are neither silenced nor inhibited", "/api/v2/alerts",
			[]string{"active=true", "silenced=false", "inhibited=false"}, nil},
		{"find_alerts", "Find alerts by a label, silenced and inhibited ones too", "/api/v2/alerts", []string{"filter={matcher}"},
			[]param{{"matcher", `Matcher of a label, such as alertname="KubePodCrashLooping" or namespace=~"shop.*"`}}},
		{"list_silences", "List the silences", "/api/v2/silences", nil, nil},
		{"get_status", "Read the state of the cluster of Alertmanagers and their configuration", "/api/v2/status", nil, nil},
	},
	"kibana": {
		{"get_status", "Read the state of Kibana and its plugins", "/api/status", nil, nil},
		{"find_saved_objects", "Find dashboards, searches and other saved objects by title", "/api/saved_objects/_find",
			[]string{"type={type}", "search_fields=title", "search={title?}", "per_page={limit?}"},
			[]param{{"type", "dashboard, search, visualization, lens or index-pattern"}, {"title", "Words of the title; all without it"}, limit}},
		{"list_data_views", "List the data views, which name the indexes that are searched", "/api/data_views", nil, nil},
	},
	"rabbitmq": {
		{"get_overview", "Read message rates, queue totals and the version", "/api/overview", nil, nil},
		{"list_queues", "List the queues with messages, consumers and state", "/api/queues",
			[]string{"columns=vhost,name,state,messages,messages_ready,messages_unacknowledged,consumers,memory"}, nil},
		{"list_nodes", "List the nodes with alarms, partitions and resources", "/api/nodes", nil, nil},
		{"list_connections", "List the connections of clients", "/api/connections",
			[]string{"columns=name,user,vhost,state,channels,recv_oct,send_oct"}, nil},
	},
	"victorialogs": {
		{"query_logs", "Run a LogsQL query over a time range", "/select/logsql/query",
			[]string{"query={query}", "start={start?}", "end={end?}", "limit={limit?}"}, []param{logsQL, start, end, limit}},
		{"count_hits", "Count the logs that match, in steps of time", "/select/logsql/hits",
			[]string{"query={query}", "start={start?}", "end={end?}", "step={step?}"},
			[]param{logsQL, start, end, {"step", "Length of a step, such as 5m"}}},
		{"list_fields", "List the names of the fields that matching logs have", "/select/logsql/field_names",
			[]string{"query={query}", "start={start?}", "end={end?}"}, []param{logsQL, start, end}},
	},
	"pyroscope": {
		{"render_profile", "Read a profile over a time range, as a flame graph", "/pyroscope/render",
			[]string{"query={query}", "from={start_s}", "until={end_s}"},
			[]param{{"query", `Type of the profile and selector, such as process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="cart"}`},
				{"start_s", "Start of the time range, Unix seconds"}, {"end_s", "End of the time range, Unix seconds"}}},
	},
	"kiali": {
		{"list_namespaces", "List the namespaces of the mesh", "/namespaces", nil, nil},
		{"get_graph", "Read who calls whom in some namespaces, with rates and errors", "/namespaces/graph",
			[]string{"namespaces={namespaces}", "duration={duration?}", "graphType=workload"},
			[]param{{"namespaces", "Names of the namespaces, with commas between them"}, {"duration", "Length of the time range until now, such as 10m"}}},
		{"get_health", "Read the health of the applications of some namespaces", "/clusters/health",
			[]string{"namespaces={namespaces}", "type=app"}, []param{{"namespaces", "Names of the namespaces, with commas between them"}}},
		{"list_istio_config", "List Istio's objects with what is wrong with them", "/istio/config", []string{"validate=true"}, nil},
	},
	"argocd": {
		{"list_applications", "List the applications with their health and whether they are as Git says", "/applications",
			[]string{"fields=items.metadata.name,items.metadata.namespace,items.spec.destination,items.status.sync.status,items.status.health.status"}, nil},
		{"get_application", "Read an application: its source, state, conditions and history", "/applications/{application}", nil, []param{application}},
		{"get_resource_tree", "Read the objects of an application with their health", "/applications/{application}/resource-tree", nil, []param{application}},
		{"list_events", "List the events of an application", "/applications/{application}/events", nil, []param{application}},
	},
	"influxdb": {
		{"query", "Run an InfluxQL query", "/query", []string{"db={database}", "q={query}"},
			[]param{{"database", "Name of the database, or of the bucket; any to list them"}, {"query", `InfluxQL query, such as SHOW DATABASES, or SELECT mean("usage_user") FROM "cpu" WHERE time > now() - 1h GROUP BY time(5m)`}}},
	},
	"quickwit": {
		{"list_indexes", "List the indexes", "/indexes", nil, nil},
		{"describe_index", "Read the size of an index and its time range", "/indexes/{index}/describe", nil, []param{index}},
		{"search_documents", "Search documents over a time range", "/{index}/search",
			[]string{"query={query}", "start_timestamp={start_s?}", "end_timestamp={end_s?}", "max_hits={limit?}"},
			[]param{index, {"query", "Query, such as severity_text:ERROR AND service_name:cart"},
				{"start_s", "Start of the time range, Unix seconds"}, {"end_s", "End of the time range, Unix seconds"}, limit}},
	},
}

// anyTool is for back ends of other types. The slash before the path keeps the path from
// becoming part of the host name.
var anyTool = []tool{
	{"http_get", "Read a path of its HTTP API by GET", "/{path}", nil,
		[]param{{"path", "Path and query to read, without a slash in front and with spaces as %20, such as api/health?full=1"}}},
}

// toolsFor returns the tools for a type of back end that is read by HTTP.
func toolsFor(kind string) []tool {
	if list, known := tools[kind]; known {
		return list
	}
	return anyTool
}
