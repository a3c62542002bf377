package products

import "strings"

// A Setup is a product with the options that it is run with.
type Setup struct {
	Software *Software
	Options  Options
}

// FileName returns a name for files, such as prometheus-below-prometheus.
func (s Setup) FileName() string {
	if s.Options.Prefix == "" {
		return s.Software.Name
	}
	return s.Software.Name + "-below" + strings.ReplaceAll(s.Options.Prefix, "/", "-")
}

// All returns all that can be run, with and without a path prefix.
func All() []Setup {
	var all []Setup
	for _, s := range []*Software{Prometheus, PrometheusAgent, Alertmanager, Pushgateway, VictoriaMetricsOld, VictoriaMetrics, VMAuth, VictoriaLogs, InfluxDB, InfluxDBAuth, RabbitMQ,
		Prometheus3, PrometheusAgent3, Jaeger, Jaeger1, ThanosQuery, ThanosQueryFrontend, Cortex, CortexTenant} {
		all = append(all, Setup{Software: s})
	}
	return append(all, []Setup{
		{Prometheus, Options{Prefix: "/prometheus"}}, {Prometheus3, Options{Prefix: "/prometheus"}}, {Alertmanager, Options{Prefix: "/alertmanager"}}, {RabbitMQ, Options{Prefix: "/rabbitmq"}},
		{Jaeger, Options{Prefix: "/jaeger"}}, {Jaeger1, Options{Prefix: "/jaeger"}}, {ThanosQuery, Options{Prefix: "/thanos"}},
		{VictoriaMetrics, Options{Prefix: "/victoriametrics"}}, {VictoriaLogs, Options{Prefix: "/victorialogs"}},
	}...)
}
