package main

// A standIn is a Service of examples/cluster that somebody stands in for.
type standIn struct {
	namespace, name string
	port            uint16
	// recorded are the files with its answers; the first that has one for a request counts.
	recorded []string
	tls      bool // with a certificate that nobody trusts
	// silent means that it accepts connections and answers nothing.
	silent bool
	// absent means that its name resolves, but nothing listens.
	absent bool
}

// standIns are the Services that can be called. The names of all others don't exist. What
// the service makes of each is in README.md; TestRun compares.
var standIns = []standIn{
	{namespace: "monitoring", name: "kps-kube-prometheus-stack-prometheus", port: 9090, recorded: []string{"prometheus-healthy", "prometheus-below-prometheus-2.42.0+ds"}},
	{namespace: "monitoring", name: "kps-kube-prometheus-stack-alertmanager", port: 9093, recorded: []string{"alertmanager-healthy", "alertmanager-0.25.0"}},
	{namespace: "monitoring", name: "kps-grafana", port: 3000, recorded: []string{"grafana-11.0.0"}},
	{namespace: "messaging", name: "orders-queue", port: 15672, recorded: []string{"rabbitmq-3.10.8"}},
	{namespace: "logging", name: "audit-es-http", port: 9200, tls: true, recorded: []string{"elasticsearch-7-security"}},
	{namespace: "logging", name: "audit-kb-http", port: 5601, silent: true},
	{namespace: "logging", name: "loki-gateway", port: 3100, recorded: []string{"loki-gateway", "loki-3.6.7"}},
	{namespace: "tracing", name: "otel-collector", port: 13133, recorded: []string{"otel-collector"}},
	{namespace: "tracing", name: "jaeger-query", port: 16686, absent: true},
	{namespace: "tracing", name: "tempo", port: 3200, absent: true},
	{namespace: "shop", name: "prometheus-server", port: 9090, recorded: []string{"victoriametrics-1.79.5"}},
	{namespace: "shop", name: "logs", port: 3100, recorded: []string{"nginx-1.22.1"}},
	{namespace: "shop", name: "orders-history", port: 8086, recorded: []string{"influxdb-ping", "influxdb-1.6.7~rc0"}},
	{namespace: "shop", name: "storefront", port: 3000, recorded: []string{"nginx-1.22.1"}},
	{namespace: "shop", name: "checkout-prometheus", port: 9090, recorded: []string{"nginx-1.22.1"}},
}

// host returns the Service's name in the cluster's DNS.
func (s *standIn) host() string { return s.name + "." + s.namespace + ".svc.cluster.local" }
