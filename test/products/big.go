package products

import (
	"fmt"
	"os"
	"strings"
)

// The products that take many minutes to build: make products builds them.
var (
	prometheusModule = &Module{
		Name: "prometheus", Package: "github.com/prometheus/prometheus/cmd/prometheus", Require: "github.com/prometheus/prometheus", Big: true,
		Tags:    "remove_all_sd", // the clients of clouds, which find targets
		release: prometheusRelease,
		flags:   func(v string) string { return commonVersion(prometheusRelease(v), v) },
	}
	jaegerModule = &Module{
		Name: "jaeger", Package: "github.com/jaegertracing/jaeger/cmd/jaeger", Require: "github.com/jaegertracing/jaeger", Big: true,
		release: jaegerRelease,
		flags:   func(v string) string { return jaegerVersion("v" + jaegerRelease(v)) },
	}
	jaeger1Module = &Module{
		Name: "jaeger", Package: "github.com/jaegertracing/jaeger/cmd/all-in-one", Require: "github.com/jaegertracing/jaeger", Big: true, flags: jaegerVersion,
	}
	thanosModule = &Module{
		Name: "thanos", Package: "github.com/thanos-io/thanos/cmd/thanos", Require: "github.com/thanos-io/thanos", Big: true,
		flags: func(v string) string { return commonVersion(strings.TrimPrefix(v, "v"), v) },
	}
	cortexModule = &Module{
		Name: "cortex", Package: "github.com/cortexproject/cortex/cmd/cortex", Require: "github.com/cortexproject/cortex", Big: true,
		flags: func(v string) string {
			return "-X main.Version=" + strings.TrimPrefix(v, "v") + " -X main.Revision=" + v + " -X main.Branch=HEAD"
		},
	}

	// Prometheus3 is a new one; Debian has version 2.
	Prometheus3 = &Software{
		Name: "prometheus", Product: "Prometheus", Kind: "prometheus", Setup: "version 3", OnDemand: true, find: prometheusModule.find, ready: "/-/ready",
		setUp: func(r *run) error { return setUpPrometheus(r, "--storage.tsdb.path="+r.dir+"/data") },
	}
	PrometheusAgent3 = &Software{
		Name: "prometheus-agent", Product: "Prometheus", Setup: "in agent mode", OnDemand: true, find: prometheusModule.find, ready: "/-/ready",
		setUp: func(r *run) error { return setUpPrometheus(r, "--agent", "--storage.agent.path="+r.dir+"/data") },
	}
	// Jaeger is version 2, without the files of its page: those are not in the module.
	Jaeger = &Software{Name: "jaeger", Product: "Jaeger", Kind: "jaeger", Setup: "version 2, all in one", OnDemand: true, find: jaegerModule.find, ready: "/api/services", setUp: setUpJaeger}
	// Jaeger1 is version 1.
	Jaeger1 = &Software{Name: "jaeger-1", Product: "Jaeger", Kind: "jaeger", Setup: "version 1, all in one", OnDemand: true, find: jaeger1Module.find, ready: "/api/services", setUp: setUpJaeger1}
	// ThanosQuery has no stores. Below a prefix it has all but /-/ready and /-/healthy.
	ThanosQuery = &Software{Name: "thanos-query", Product: "Thanos", Kind: "thanos-query", OnDemand: true, find: thanosModule.find, ready: "/api/v1/stores", setUp: setUpThanosQuery}
	// ThanosQueryFrontend is one before a Thanos query.
	ThanosQueryFrontend = &Software{
		Name: "thanos-query-frontend", Product: "Thanos", Kind: "thanos-query", NoPrefix: true, Setup: "the query frontend before a query",
		OnDemand: true, find: thanosModule.find, ready: "/api/v1/stores", setUp: setUpThanosFrontend,
	}
	// Cortex is no kind of back end that the rules know, but Mimir comes from it.
	Cortex = &Software{Name: "cortex", Product: "Cortex", NoPrefix: true, OnDemand: true, find: cortexModule.find, ready: "/ready", setUp: func(r *run) error { return setUpCortex(r, false) }}
	// CortexTenant wants to be told a tenant.
	CortexTenant = &Software{
		Name: "cortex-tenant", Product: "Cortex", NoPrefix: true, Setup: "with auth_enabled",
		OnDemand: true, find: cortexModule.find, ready: "/ready", setUp: func(r *run) error { return setUpCortex(r, true) },
	}
)

// prometheusRelease returns the release that a version of the module is: v0.316.2 is 3.16.2,
// and v0.301.0 is 3.1.0.
func prometheusRelease(v string) string {
	var minor, patch int
	if _, err := fmt.Sscanf(strings.TrimPrefix(v, "v"), "0.%d.%d", &minor, &patch); err != nil {
		return v
	}
	return fmt.Sprintf("%d.%d.%d", minor/100, minor%100, patch)
}

// jaegerRelease returns the release of Jaeger 2 that a version of the module also is: both
// majors come from one module, whose v1.76.0 is 2.13.0.
func jaegerRelease(v string) string {
	var minor, patch int
	if _, err := fmt.Sscanf(strings.TrimPrefix(v, "v"), "1.%d.%d", &minor, &patch); err != nil || minor < 63 {
		return v
	}
	return fmt.Sprintf("2.%d.%d", minor-63, patch)
}

// commonVersion returns the flags of all that Prometheus' authors write.
func commonVersion(version, revision string) string {
	const at = "github.com/prometheus/common/version."
	return "-X " + at + "Version=" + version + " -X " + at + "Revision=" + revision + " -X " + at + "Branch=HEAD"
}

func jaegerVersion(v string) string {
	const at = "github.com/jaegertracing/jaeger/internal/version."
	return "-X " + at + "latestVersion=" + v + " -X " + at + "commitSHA=" + v
}

func setUpJaeger(r *run) error {
	prefix := ""
	if r.prefix != "" {
		prefix = "\n    base_path: " + r.prefix
	}
	config, err := r.file("jaeger.yaml", fmt.Sprintf(`service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry: {metrics: {level: none}}
extensions:
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:%d"}
    grpc: {endpoint: "127.0.0.1:%d"}%s
  jaeger_storage: {backends: {memory: {memory: {max_traces: 100}}}}
receivers:
  otlp: {protocols: {http: {endpoint: "127.0.0.1:%d"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`, r.port, r.ports[0], prefix, r.ports[1]))
	r.args = []string{"--config", config}
	return err
}

func setUpJaeger1(r *run) error {
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", r.ports[i]) }
	r.args = []string{"--query.http-server.host-port=" + r.address(), "--query.grpc-server.host-port=" + at(0), "--admin.http.host-port=" + at(1),
		"--collector.grpc-server.host-port=" + at(2), "--collector.http-server.host-port=" + at(3), "--collector.otlp.enabled=false"}
	if r.prefix != "" {
		r.args = append(r.args, "--query.base-path="+r.prefix)
	}
	return nil
}

func setUpThanosQuery(r *run) error {
	r.args = []string{"query", "--http-address=" + r.address(), fmt.Sprintf("--grpc-address=127.0.0.1:%d", r.ports[0])}
	if r.prefix != "" {
		r.args = append(r.args, "--web.external-prefix="+r.prefix, "--web.route-prefix="+r.prefix)
	}
	return nil
}

func setUpThanosFrontend(r *run) error {
	behind := fmt.Sprintf("127.0.0.1:%d", r.ports[0])
	p, err := start(r.dir, r.program, []string{"query", "--http-address=" + behind, fmt.Sprintf("--grpc-address=127.0.0.1:%d", r.ports[1])}, nil)
	if err != nil {
		return err
	}
	r.helpers = append(r.helpers, p)
	r.args = []string{"query-frontend", "--http-address=" + r.address(), "--query-frontend.downstream-url=http://" + behind}
	return nil
}

func setUpCortex(r *run, auth bool) error {
	for _, tenants := range []string{"/ruler", "/alertmanager"} { // which must be there
		if err := os.Mkdir(r.dir+tenants, 0o700); err != nil {
			return err
		}
	}
	config, err := r.file("cortex.yaml", fmt.Sprintf(`auth_enabled: %[1]v
server: {http_listen_address: 127.0.0.1, http_listen_port: %[2]d, grpc_listen_address: 127.0.0.1, grpc_listen_port: %[3]d}
distributor: {ring: {kvstore: {store: inmemory}, instance_addr: 127.0.0.1}}
ingester: {lifecycler: {address: 127.0.0.1, join_after: 0s, min_ready_duration: 0s, final_sleep: 0s, ring: {kvstore: {store: inmemory}, replication_factor: 1}}}
compactor: {data_dir: %[4]s/compactor}
blocks_storage:
  backend: filesystem
  filesystem: {dir: %[4]s/blocks}
  tsdb: {dir: %[4]s/tsdb}
  bucket_store: {sync_dir: %[4]s/sync}
ruler: {rule_path: %[4]s/rules}
ruler_storage: {backend: local, local: {directory: %[4]s/ruler}}
alertmanager: {data_dir: %[4]s/alerts, external_url: "http://127.0.0.1:%[2]d/alertmanager"}
alertmanager_storage: {backend: local, local: {path: %[4]s/alertmanager}}
`, auth, r.port, r.ports[0], r.dir))
	// Without an address its Alertmanagers don't look for one another, at a port of their own
	// that two of them can't have. The second is not the default, but makes it more like a
	// Prometheus.
	r.args = []string{"-config.file=" + config, "-alertmanager.cluster.listen-address=", "-api.build-info-enabled"}
	return err
}

var bigModules = []*Module{prometheusModule, jaegerModule, jaeger1Module, thanosModule, cortexModule}
