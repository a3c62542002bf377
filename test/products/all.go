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
	for _, s := range []*Software{Prometheus, PrometheusAgent, Alertmanager, Pushgateway, VictoriaMetricsOld, InfluxDB, InfluxDBAuth, RabbitMQ} {
		all = append(all, Setup{Software: s})
	}
	for s, prefix := range map[*Software]string{Prometheus: "/prometheus", Alertmanager: "/alertmanager", RabbitMQ: "/rabbitmq"} {
		all = append(all, Setup{s, Options{Prefix: prefix}})
	}
	return all
}
