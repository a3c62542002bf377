package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// inCluster is the environment of a pod.
var inCluster = []string{"KUBERNETES_SERVICE_HOST=10.96.0.1"}

func load(t *testing.T, args []string, env ...string) (*Settings, error) {
	t.Helper()
	var usage bytes.Buffer
	s, err := Load(args, append(env, inCluster...), &usage)
	if usage.Len() > 0 {
		t.Errorf("Load wrote %q", usage.String())
	}
	return s, err
}

func mustLoad(t *testing.T, args []string, env ...string) *Settings {
	t.Helper()
	s, err := load(t, args, env...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write writes a file, and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	got := mustLoad(t, nil)
	want := &Settings{
		Cluster: Cluster{InCluster: true, Domain: "cluster.local", Resync: 5 * time.Minute},
		HTTP: HTTP{Listen: ":8080", MetricsListen: ":9090", ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
			IdleTimeout: 2 * time.Minute, MaxConnectionAge: 5 * time.Minute, EventLoop: EventLoopAuto},
		Access:    Access{CacheTTL: 2 * time.Minute, RateBurst: 150},
		Discovery: Discovery{Identify: IdentifyCandidates, CandidatesPerMinute: 60},
		Health:    Health{Enabled: true, Interval: 30 * time.Second, Timeout: 5 * time.Second, Attempts: 3, Concurrency: 512},
		ConfigMap: ConfigMap{Enabled: true, Namespace: "kubernaut-system", Name: "kubernaut-toolset-config", LeaderElection: true, Lease: "dynamic-toolset"},
		Documents: Documents{Outputs: []string{"holmesgpt", "kubernaut"}},
		HolmesGPT: HolmesGPT{ReloadDelay: 90 * time.Second},
		Shutdown:  Shutdown{PropagationDelay: 5 * time.Second, DrainTimeout: 30 * time.Second},
		Limits:    Limits{MaxConnections: 10_000, MaxRequestBody: 1 << 20, MaxHeaderBytes: 16 << 10, MaxWatchers: 1000},
		Logs:      Logs{Level: "info", Format: "auto"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "settings.yaml", `
listen: ":1001"
metrics-listen: ":1002"
health-interval: 1m
health-attempts: 5
health-checks: false
namespaces: [one, two]
max-request-body: 2MiB
max-header-bytes: 32768
log-level: debug
`)
	for _, tt := range []struct {
		name      string
		args, env []string
		listen    string
		interval  time.Duration
		spaces    string
	}{
		{"default", nil, nil, ":8080", 30 * time.Second, ""},
		{"file beats default", []string{"--config", file}, nil, ":1001", time.Minute, "one two"},
		{"file named by the environment", nil, []string{"TOOLSET_CONFIG=" + file}, ":1001", time.Minute, "one two"},
		{"environment beats file", []string{"--config=" + file},
			[]string{"TOOLSET_LISTEN=:2001", "TOOLSET_HEALTH_INTERVAL=2m", "TOOLSET_NAMESPACES=three,four"}, ":2001", 2 * time.Minute, "three four"},
		{"an empty variable is none", []string{"--config=" + file},
			[]string{"TOOLSET_LISTEN=", "TOOLSET_HEALTH_INTERVAL=", "TOOLSET_NAMESPACES="}, ":1001", time.Minute, "one two"},
		{"flag beats all", []string{"--config=" + file, "--listen=:3001", "--health-interval", "3m", "--namespaces=five", "--namespaces", "six,five"},
			[]string{"TOOLSET_LISTEN=:2001", "TOOLSET_HEALTH_INTERVAL=2m", "TOOLSET_NAMESPACES=three"}, ":3001", 3 * time.Minute, "five six"},
		{"an empty flag is one", []string{"--config=" + file, "--namespaces="}, []string{"TOOLSET_NAMESPACES=three"}, ":1001", time.Minute, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustLoad(t, tt.args, tt.env...)
			if s.HTTP.Listen != tt.listen || s.Health.Interval != tt.interval || strings.Join(s.Cluster.Namespaces, " ") != tt.spaces {
				t.Errorf("listen %q, interval %v, namespaces %q", s.HTTP.Listen, s.Health.Interval, s.Cluster.Namespaces)
			}
			if s.File != "" && (s.Health.Attempts != 5 || s.Health.Enabled || s.Limits.MaxRequestBody != 2<<20 || s.Limits.MaxHeaderBytes != 32<<10) {
				t.Errorf("not taken from the file: %+v", s)
			}
		})
	}
}

func TestBooleans(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"--health-insecure-skip-tls-verify"}, true},
		{[]string{"--health-insecure-skip-tls-verify=true"}, true},
		{[]string{"--health-insecure-skip-tls-verify=false"}, false},
	} {
		if s := mustLoad(t, tt.args); s.Health.InsecureSkipTLSVerify != tt.want {
			t.Errorf("%v: %v", tt.args, s.Health.InsecureSkipTLSVerify)
		}
	}
}

func TestKubernetesVariablesOfServicesAreIgnored(t *testing.T) {
	mustLoad(t, nil,
		"TOOLSET_PORT=tcp://10.96.1.2:8080", "TOOLSET_SERVICE_HOST=10.96.1.2", "TOOLSET_SERVICE_PORT=8080",
		"TOOLSET_SERVICE_PORT_HTTP=8080", "TOOLSET_PORT_8080_TCP=tcp://10.96.1.2:8080", "TOOLSET_PORT_8080_TCP_PROTO=tcp",
		"TOOLSET_PORT_8080_TCP_PORT=8080", "TOOLSET_PORT_8080_TCP_ADDR=10.96.1.2", "TOOLSET_API_SERVICE_HOST=10.96.1.3",
		"TOOLSET_TEST_REQUIRE=1", "TOOLSETS=x", "OTHER=y")
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--listen=nonsense", "--help", "--more"}} {
		var usage bytes.Buffer
		if _, err := Load(args, nil, &usage); !errors.Is(err, ErrHelp) {
			t.Errorf("%v: %v", args, err)
		}
		if !strings.Contains(usage.String(), "TOOLSET_HEALTH_INTERVAL") {
			t.Errorf("%v: usage %q", args, usage.String())
		}
	}
}

// Each wrong input is reported as one problem that says what to change.
func TestProblems(t *testing.T) {
	file := func(text string) []string { return []string{"--config=" + write(t, "settings.yaml", text)} }
	for _, tt := range []struct {
		args, env []string
		want      string
	}{
		// Names.
		{[]string{"--lisen=:1"}, nil, "--lisen is not a setting; did you mean --listen?"},
		{[]string{"--health-intreval", "5s"}, nil, "did you mean --health-interval?"},
		{[]string{"--xyzzy"}, nil, "--xyzzy is not a setting; see --help"},
		{[]string{"--HEALTH_INTERVAL=5s"}, nil, "did you mean --health-interval?"},
		{[]string{"-listen=:1"}, nil, `"-listen=:1" must be written with two dashes`},
		{[]string{"-listen", ":1"}, nil, "must be written with two dashes: --listen"},
		{[]string{"--"}, nil, `"--" is not expected here`},
		{[]string{"serve"}, nil, `"serve" is not expected here; settings are given as --name=value`},
		{[]string{"--listen"}, nil, "--listen needs a value: --listen=ADDRESS"},
		{[]string{"--listen", "--log-level=info"}, nil, "--listen needs a value"},
		{[]string{"--health-checks", "false"}, nil, "must be written as one word: --health-checks=false"},
		{nil, []string{"TOOLSET_LISEN=:1"}, "TOOLSET_LISEN is not a setting; did you mean TOOLSET_LISTEN?"},
		{nil, []string{"TOOLSET_\x1b[31m=x"}, `"TOOLSET_\x1b[31m" is not a setting`},
		{file("lisen: ':1'"), nil, "settings.yaml is not a setting; did you mean listen?"},
		{file("healthInterval: 5s"), nil, "did you mean health-interval?"},
		{file("config: other.yaml"), nil, "can't name another one"},
		// Values.
		{[]string{"--health-interval=30"}, nil, `--health-interval is "30"; it must be a duration with its unit`},
		{nil, []string{"TOOLSET_HEALTH_ATTEMPTS=three"}, `TOOLSET_HEALTH_ATTEMPTS is "three"; it must be a whole number`},
		{[]string{"--health-checks=maybe"}, nil, "must be true or false"},
		{[]string{"--max-request-body=1XB"}, nil, "must be a size"},
		{[]string{"--max-request-body=9999GiB"}, nil, "must be a size"},
		{[]string{`--namespaces=a"b`}, nil, "must be a list"},
		{file("health-interval: 30"), nil, `is "30"; it must be a duration with its unit`},
		{file("log-level: on"), nil, "put it in quotes"},
		{file("namespaces: [1]"), nil, "must be a list of strings"},
		{file("namespaces: ['a,b']"), nil, "write one item per line"},
		{file("listen: [a]"), nil, "not a list"},
		{file("listen:"), nil, "has no value"},
		{file("health:\n  interval: 5s"), nil, "not a setting"},
		{file("listen:\n  port: 1"), nil, "settings are not nested"},
		{file("- listen"), nil, "must hold lines of the form"},
		{file("a: b: c"), nil, "is not valid YAML"},
		{file("log-level: info\nlog-level: debug"), nil, "is not valid YAML"},
		{file(manyKeys()), nil, "has 201 keys"},
		{file(strings.Repeat("#", maxFile+1)), nil, "larger than the 1024 KiB"},
		{[]string{"--config=/does/not/exist"}, nil, "--config: /does/not/exist does not exist"},
		{[]string{"--config=/"}, nil, "can't be read: is a directory"},
		// Values that make no sense, alone or together.
		{[]string{"--listen=8080"}, nil, `--listen is "8080"; it must have the form host:port or :port`},
		{[]string{"--listen=:http"}, nil, "the port must be a number"},
		{[]string{"--listen=:70000"}, nil, "the port must be a number"},
		{[]string{"--listen=a_b:80"}, nil, "the host must be an IP address"},
		{[]string{"--metrics-listen="}, nil, "--metrics-listen is empty, but can't be switched off"},
		{[]string{"--metrics-listen=:8080"}, nil, "can't both listen on port 8080"},
		{[]string{"--metrics-listen=127.0.0.1:8080"}, nil, "can't both listen on port 8080"},
		{[]string{"--listen=[::]:1", "--metrics-listen=[::1]:1"}, nil, "can't both listen on port 1"},
		{[]string{"--served-by=a b"}, nil, "it must be at most 253 visible ASCII characters"},
		{[]string{"--read-timeout=0s"}, nil, "--read-timeout is 0s; it must be between 1ms and 10m"},
		{[]string{"--write-timeout=-5s"}, nil, "--write-timeout is -5s"},
		{[]string{"--idle-timeout=0s"}, nil, "must be between"},
		{[]string{"--max-connection-age=1ms"}, nil, "must be 0 (never) or between 1s and 24h"},
		{[]string{"--max-connections=0"}, nil, "--max-connections is 0; it must be between 1 and 1000000"},
		{[]string{"--max-watchers=-1"}, nil, "must be between 0"},
		{[]string{"--max-request-body=10"}, nil, "--max-request-body is 10 bytes; it must be between 1KiB and 64MiB"},
		{[]string{"--max-header-bytes=2MiB"}, nil, "must be between 1KiB and 1MiB"},
		{[]string{"--resync=1s"}, nil, "between 10s and 24h"},
		{[]string{"--kubernetes-unavailable-grace=-1s"}, nil, "between 0s and 1h"},
		{[]string{"--namespaces=a,B_c"}, nil, `--namespaces holds "B_c", which can't be a namespace`},
		{[]string{"--cluster-domain=.local"}, nil, "without a dot at either end"},
		{[]string{"--health-interval=1ms"}, nil, "must be between 100ms and 24h"},
		{[]string{"--health-timeout=0s"}, nil, "must be between 10ms and 5m"},
		{[]string{"--health-attempts=0"}, nil, "must be between 1 and 10"},
		{[]string{"--health-concurrency=0"}, nil, "must be between 1 and 4096"},
		{[]string{"--health-ca-file=/does/not/exist"}, nil, "does not exist"},
		{[]string{"--health-ca-file=" + write(t, "ca.pem", "no PEM")}, nil, "holds no certificate"},
		{[]string{"--allow-endpoint-cidrs=10.0.0.0/8,nonsense"}, nil, `holds "nonsense"; it must be a network`},
		{[]string{"--allow-endpoint-cidrs=10.0.0.1/8"}, nil, "write 10.0.0.0/8"},
		{[]string{"--dns-server=10.96.0.10"}, nil, `--dns-server is "10.96.0.10"; it must be an IP address and a port, such as 10.96.0.10:53`},
		{[]string{"--dns-server=kube-dns.kube-system:53"}, nil, "it must be an IP address and a port"},
		{[]string{"--dns-server=10.96.0.10:0"}, nil, "it must be an IP address and a port"},
		{nil, []string{"TOOLSET_DNS_SERVER=fd00::a:53"}, "it must be an IP address and a port"},
		{[]string{"--holmesgpt-leave-out=grafana/loki,prometheus/metric"}, nil, `--holmesgpt-leave-out holds "prometheus/metric", which the document never has; did you mean prometheus/metrics?`},
		{[]string{"--holmesgpt-leave-out=kubernetes/core"}, nil, "choose from prometheus/metrics, grafana/dashboards, "},
		{[]string{"--holmesgpt-reload-url=holmes"}, nil, "--holmesgpt-reload-url is no absolute http or https URL"},
		{[]string{"--holmesgpt-reload-url=http://u:p@holmes/"}, nil, "must not carry a user name or password"},
		{[]string{"--holmesgpt-reload-delay=-1s"}, nil, "between 0s and 1h"},
		{[]string{"--rules=/does/not/exist"}, nil, "--rules names a file that can't be used: /does/not/exist does not exist"},
		{[]string{"--rules=/"}, nil, "must name a file, but / is a folder"},
		{[]string{"--manifests=/does/not/exist"}, nil, "--manifests must name a folder or a file that can be read, or be - for standard input: /does/not/exist does not exist"},
		{[]string{"--manifests=/dev/null"}, nil, "--manifests must name a folder or a file, but /dev/null is neither; for what a program prints give - and pipe it into standard input"},
		{[]string{"--kubeconfig=/does/not/exist"}, nil, "does not exist"},
		{[]string{"--context=x"}, nil, "--context needs the kubeconfig file"},
		{[]string{"--manifests=.", "--kubeconfig=load.go"}, nil, "--manifests and --kubeconfig can't go together"},
		{[]string{"--manifests=.", "--namespaces=a"}, nil, "--manifests and --namespaces can't go together"},
		{[]string{"--manifests=."}, []string{"TOOLSET_CONTEXT=x"}, "--manifests and TOOLSET_CONTEXT can't go together"},
		{[]string{"--configmap-namespace=A"}, nil, "can't be a namespace"},
		{[]string{"--configmap-name=A"}, nil, "can't be the name of a ConfigMap"},
		{[]string{"--leader-election-lease=A"}, nil, "can't be the name of a Lease"},
		{[]string{"--manifests=.", "--leader-election"}, nil, "no cluster that holds a lease"},
		{[]string{"--write-configmap=-"}, nil, "works with --manifests only"},
		{[]string{"--manifests=.", "--write-configmap=/does/not/exist"}, nil, "create /does/not"},
		{[]string{"--manifests=.", "--write-configmap=/"}, nil, "must name a file, but / is a folder"},
		{[]string{"--manifests=.", "--configmap-enabled"}, nil, "can't be true with --manifests"},
		{[]string{"--shutdown-propagation-delay=-1s"}, nil, "between 0s and 5m"},
		{[]string{"--shutdown-drain-timeout=0s"}, nil, "between 1ms and 1h"},
		{[]string{"--log-level=warning"}, nil, `--log-level is "warning"; it must be debug, info, warn or error`},
		{[]string{"--log-format=xml"}, nil, "must be auto, json or console"},
	} {
		_, err := load(t, tt.args, tt.env...)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%q %q: got %v, want Problems", tt.args, tt.env, err)
			continue
		}
		if len(problems) != 1 || !strings.Contains(problems[0], tt.want) {
			t.Errorf("%q %q:\ngot  %s\nwant %s", tt.args, tt.env, strings.Join(problems, "\n     "), tt.want)
		}
	}
}

func manyKeys() string {
	var b strings.Builder
	for i := range maxKeys + 1 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

func TestAllProblemsAtOnce(t *testing.T) {
	file := write(t, "settings.yaml", "lisen: x\nhealth-timeout: 0s\nlog-format: 5\n")
	_, err := load(t, []string{"--config=" + file, "--intreval=5s", "--health-interval=30", "extra", "--read-timeout=0s", "--context=x"},
		"TOOLSET_FOO=1", "TOOLSET_HEALTH_ATTEMPTS=x", "TOOLSET_LOG_LEVEL=loud")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"lisen in " + file, "health-timeout in " + file + " is 0s", "log-format in " + file + " must be a string",
		"--intreval", "--health-interval is", `"extra"`, "--read-timeout is 0s", "--context needs",
		"TOOLSET_FOO", "TOOLSET_HEALTH_ATTEMPTS is", "TOOLSET_LOG_LEVEL is",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nlacks %q", err, want)
		}
	}
	if len(problems) != 11 || !strings.HasPrefix(err.Error(), "11 settings are wrong:\n- ") {
		t.Errorf("%d problems:\n%v", len(problems), err)
	}
}

func TestNoCluster(t *testing.T) {
	_, err := Load(nil, nil, nil)
	for _, want := range []string{"--manifests=PATH", "--kubeconfig=FILE", "--context=NAME", "inside a cluster"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestWhichCluster(t *testing.T) {
	kubeconfig := write(t, "kubeconfig", "")
	if s := mustLoad(t, []string{"--manifests=."}); s.Cluster.InCluster || s.ConfigMap.Enabled || s.ConfigMap.LeaderElection || s.Cluster.Manifests != "." {
		t.Errorf("%+v", s)
	}
	if s := mustLoad(t, []string{"--manifests=.", "--write-configmap", "-", "--configmap-enabled=false"}); s.ConfigMap.Write != "-" {
		t.Errorf("%+v", s)
	}
	if s := mustLoad(t, []string{"--kubeconfig", kubeconfig, "--context=a"}); s.Cluster.InCluster || !s.ConfigMap.Enabled || !strings.Contains(strings.Join(s.Warnings, "\n"), "stands for the lease kubernaut-system/dynamic-toolset") {
		t.Errorf("%+v", s)
	}
	if s := mustLoad(t, []string{"--kubeconfig", kubeconfig, "--configmap-enabled=false"}); len(s.Warnings) > 0 {
		t.Errorf("a reader is warned of: %q", s.Warnings)
	}
}

func TestValidValues(t *testing.T) {
	s := mustLoad(t, []string{"--allow-endpoint-cidrs=10.0.0.0/8, ::1,127.0.0.1", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
		"--max-connection-age=0s", "--max-header-bytes=8 KiB", "--max-request-body=2M", "--listen=localhost:0"})
	if got := s.Health.AllowEndpointCIDRs; len(got) != 3 || got[1].String() != "::1/128" || got[2].String() != "127.0.0.1/32" {
		t.Errorf("%v", got)
	}
	if s.Limits.MaxHeaderBytes != 8<<10 || s.Limits.MaxRequestBody != 2e6 || s.HTTP.Listen != "localhost:0" {
		t.Errorf("%+v", s)
	}
	if s := mustLoad(t, []string{"--dns-server=[fd00::a]:53"}); s.Health.DNSServer.String() != "[fd00::a]:53" || s.Health.Resolver() == nil {
		t.Errorf("%+v", s.Health)
	}
	mustLoad(t, []string{"--listen=127.0.0.1:80", "--metrics-listen=127.0.0.2:80"})
	if s := mustLoad(t, []string{"--max-watchers=0"}); s.Limits.MaxWatchers != 0 { // 0 means none, not the default
		t.Errorf("%+v", s.Limits)
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"--read-timeout=1m"}, "--read-timeout (1m) is longer than shutdown-drain-timeout (30s)"},
		{[]string{"--write-timeout=1m"}, "--write-timeout (1m)"},
		{[]string{"--shutdown-drain-timeout=40s"}, "45s together: terminationGracePeriodSeconds"},
		{[]string{"--shutdown-propagation-delay=0s"}, "only right outside of a cluster"},
		{[]string{"--health-insecure-skip-tls-verify"}, "prefer --health-ca-file"},
		{[]string{"--health-timeout=20s"}, "checked for 1m"},
		{[]string{"--health-timeout=20s", "--health-checks=false"}, ""},
		{[]string{"--configmap-name=second"}, "--configmap-name is changed and leader-election-lease is not"},
		{[]string{"--configmap-name=second", "--leader-election-lease=second"}, ""},
		{[]string{"--configmap-name=second", "--leader-election=false"}, ""},
		{[]string{"--allow-endpoint-cidrs=169.254.0.0/16"}, "includes 169.254.169.254"},
	} {
		got := strings.Join(mustLoad(t, tt.args).Warnings, "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "1": 1, "1B": 1, "16KiB": 16 << 10, "1Mi": 1 << 20, "3kB": 3000, "2 GB": 2e9} {
		var b byteSize
		if err := b.Set(text); err != nil || int(b) != want {
			t.Errorf("%q: %d, %v", text, b, err)
		}
		var again byteSize
		if err := again.Set(b.String()); err != nil || again != b {
			t.Errorf("%q rendered as %q", text, b.String())
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "KiB", "3GiB", "99999999999999999999", "1 TiB"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q: %d", text, b)
		}
	}
}
