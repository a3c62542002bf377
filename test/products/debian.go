package products

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// The products that Debian has.
var (
	Prometheus = &Software{
		Name: "prometheus", Product: "Prometheus", Kind: "prometheus", Debian: "prometheus",
		find: installed("prometheus", `version ([0-9][^ ]*)`, "--version"), ready: "/-/ready",
		setUp: func(r *run) error { return setUpPrometheus(r, "--storage.tsdb.path="+r.dir+"/data") },
	}
	// PrometheusAgent only sends on what it scrapes: it can't be queried.
	PrometheusAgent = &Software{
		Name: "prometheus-agent", Product: "Prometheus", Setup: "in agent mode", Debian: "prometheus",
		find: installed("prometheus", `version ([0-9][^ ]*)`, "--version"), ready: "/-/ready",
		setUp: func(r *run) error {
			return setUpPrometheus(r, "--enable-feature=agent", "--storage.agent.path="+r.dir+"/data")
		},
	}
	Alertmanager = &Software{
		Name: "alertmanager", Product: "Alertmanager", Kind: "alertmanager", Debian: "prometheus-alertmanager",
		find: installed("prometheus-alertmanager", `version ([0-9][^ ]*)`, "--version"), ready: "/-/ready",
		setUp: func(r *run) error {
			config, err := r.file("alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
			r.args = append([]string{"--config.file=" + config, "--web.listen-address=" + r.address(), "--storage.path=" + r.dir + "/data",
				"--cluster.listen-address="}, prometheusPrefix(r)...)
			return err
		},
	}
	Pushgateway = &Software{
		Name: "pushgateway", Product: "Pushgateway", Debian: "prometheus-pushgateway",
		find: installed("prometheus-pushgateway", `version ([0-9][^ ]*)`, "--version"), ready: "/-/ready",
		setUp: func(r *run) error {
			r.args = append([]string{"--web.listen-address=" + r.address()}, prometheusPrefix(r)...)
			return nil
		},
	}
	// VictoriaMetricsOld is one of 2022, which was built without its version.
	VictoriaMetricsOld = &Software{
		Name: "victoriametrics", Product: "VictoriaMetrics", Kind: "victoriametrics", Setup: "single node", Debian: "victoria-metrics", Silent: true,
		find: packaged("victoria-metrics"), ready: "/health",
		setUp: setUpVictoriaMetrics,
	}
	InfluxDB = &Software{
		Name: "influxdb", Product: "InfluxDB", Kind: "influxdb", Debian: "influxdb", NoPrefix: true,
		find: installed("influxd", `v([0-9][^ ]*)`, "version"), ready: "/ping",
		setUp: func(r *run) error { return setUpInfluxDB(r, false) },
	}
	// InfluxDBAuth wants credentials.
	InfluxDBAuth = &Software{
		Name: "influxdb-auth", Product: "InfluxDB", Kind: "influxdb", Setup: "with auth-enabled", Debian: "influxdb", NoPrefix: true,
		find: installed("influxd", `v([0-9][^ ]*)`, "version"), ready: "/ping",
		setUp: func(r *run) error { return setUpInfluxDB(r, true) },
	}
	// RabbitMQ always wants credentials.
	RabbitMQ = &Software{
		Name: "rabbitmq", Product: "RabbitMQ", Kind: "rabbitmq", Setup: "with the management plugin", Debian: "rabbitmq-server", Silent: true,
		find: findRabbitMQ, ready: "/", setUp: setUpRabbitMQ,
	}
)

// installed finds a program of a Debian package, and its version by what it prints.
func installed(name, version string, arg ...string) func(context.Context) (string, string, error) {
	in := regexp.MustCompile(version)
	return func(ctx context.Context) (string, string, error) {
		program, err := exec.LookPath(name)
		if err != nil {
			return "", "", fmt.Errorf("%w: %w; scripts/requirements installs it", errNotHere, err)
		}
		out, err := exec.CommandContext(ctx, program, arg...).CombinedOutput()
		m := in.FindSubmatch(out)
		if m == nil {
			return "", "", fmt.Errorf("%s %s tells no version: %w\n%s", name, strings.Join(arg, " "), err, out)
		}
		return program, string(m[1]), nil
	}
}

// packaged finds a program that doesn't print its version, in a package of the same name.
func packaged(name string) func(context.Context) (string, string, error) {
	return func(ctx context.Context) (string, string, error) {
		program, err := exec.LookPath(name)
		if err != nil {
			return "", "", fmt.Errorf("%w: %w; scripts/requirements installs it", errNotHere, err)
		}
		out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Version}", name).Output()
		if err != nil {
			return "", "", fmt.Errorf("the version of %s: %w", name, err)
		}
		version, _, _ := strings.Cut(string(out), "+")
		return program, version, nil
	}
}

// prometheusPrefix are the options for a prefix of all that Prometheus' authors write.
func prometheusPrefix(r *run) []string {
	if r.prefix == "" {
		return nil
	}
	return []string{"--web.external-url=http://" + r.address() + r.prefix + "/", "--web.route-prefix=" + r.prefix}
}

func setUpPrometheus(r *run, args ...string) error {
	config, err := r.file("prometheus.yml", "global: {scrape_interval: 1h}\n")
	r.args = append([]string{"--config.file=" + config, "--web.listen-address=" + r.address()}, append(args, prometheusPrefix(r)...)...)
	return err
}

func setUpVictoriaMetrics(r *run) error {
	r.args = []string{"-httpListenAddr=" + r.address(), "-storageDataPath=" + r.dir + "/data", "-retentionPeriod=1d"}
	if r.prefix != "" {
		r.args = append(r.args, "-http.pathPrefix="+r.prefix)
	}
	return nil
}

func setUpInfluxDB(r *run, auth bool) error {
	config, err := r.file("influxdb.conf", fmt.Sprintf(`reporting-disabled = true
bind-address = "127.0.0.1:%d"
[meta]
  dir = "%[2]s/meta"
[data]
  dir = "%[2]s/data"
  wal-dir = "%[2]s/wal"
[http]
  bind-address = "%[3]s"
  auth-enabled = %[4]v
`, r.ports[0], r.dir, r.address(), auth))
	r.args = []string{"run", "-config", config}
	return err
}

// rabbitMQServer is the script that Debian's own wraps, which insists on root or a user
// of its own.
const rabbitMQServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

func findRabbitMQ(context.Context) (string, string, error) {
	if _, err := os.Stat(rabbitMQServer); err != nil {
		return "", "", fmt.Errorf("%w: %w; scripts/requirements installs it", errNotHere, err)
	}
	found, err := os.ReadDir("/usr/lib/rabbitmq/lib")
	if err != nil {
		return "", "", err
	}
	for _, e := range found {
		if version, ok := strings.CutPrefix(e.Name(), "rabbitmq_server-"); ok {
			return rabbitMQServer, version, nil
		}
	}
	return "", "", fmt.Errorf("%w: /usr/lib/rabbitmq/lib has no server", errNotHere)
}

func setUpRabbitMQ(r *run) error {
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return fmt.Errorf("%w: %w", errNotHere, err)
	}
	// Without one that runs, Erlang would start one that stays.
	names, err := start(r.dir, epmd, []string{"-address", "127.0.0.1", "-port", fmt.Sprint(r.ports[0])}, nil)
	if err != nil {
		return err
	}
	r.helpers = append(r.helpers, names)
	config := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n", r.ports[1], r.port)
	if r.prefix != "" {
		config += "management.path_prefix = " + r.prefix + "\n"
	}
	file, err := r.file("rabbitmq.conf", config)
	if err != nil {
		return err
	}
	plugins, err := r.file("enabled_plugins", "[rabbitmq_management].\n")
	if err != nil {
		return err
	}
	r.env = []string{"RABBITMQ_NODENAME=toolset" + fmt.Sprint(r.port) + "@localhost", "RABBITMQ_MNESIA_BASE=" + r.dir, "RABBITMQ_LOG_BASE=" + r.dir,
		"RABBITMQ_LOGS=-", "RABBITMQ_CONFIG_FILE=" + strings.TrimSuffix(file, ".conf"), "RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
		"RABBITMQ_CONF_ENV_FILE=" + r.dir + "/none", "RABBITMQ_PID_FILE=" + r.dir + "/pid", "RABBITMQ_DIST_PORT=" + fmt.Sprint(r.ports[2]),
		"ERL_EPMD_PORT=" + fmt.Sprint(r.ports[0]), "ERL_EPMD_ADDRESS=127.0.0.1"}
	return nil
}
