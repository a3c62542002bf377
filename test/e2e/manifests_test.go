package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The whole service as a process, from a folder of manifests to lookups, the written
// ConfigMap, and the end by SIGTERM.
func TestServeManifests(t *testing.T) {
	t.Parallel()
	dir, out := manifests(t, "prometheus"), filepath.Join(t.TempDir(), "configmap.yaml")
	p := serve(t, "serve", "--manifests", dir, "--write-configmap", out, "--shutdown-propagation-delay", "500ms")
	p.answers("/ready", 200)
	p.answers("/api/v1/toolsets/prometheus", 200, `"serviceEndpoint":"http://prometheus.monitoring.svc.cluster.local:9090"`)
	addManifest(t, dir, "prometheus-second")
	p.answers("/api/v1/toolsets", 200, `"total":2`)
	if err := os.Remove(filepath.Join(dir, "prometheus.yaml")); err != nil {
		t.Fatal(err)
	}
	p.eventually("/api/v1/toolsets", func(_ int, body string) bool {
		return strings.Contains(body, `"total":1`) && !strings.Contains(body, `"name":"prometheus"`)
	})
	p.eventually("/api/v1/toolset", func(int, string) bool {
		b, err := os.ReadFile(out)
		return err == nil && strings.Contains(string(b), "prometheus-second") && !strings.Contains(string(b), `"name":"prometheus"`)
	})
	p.answers("/metrics", 200,
		`toolset_services_discovered{service_type="prometheus"} 1`, "toolset_error_responses_total", "toolset_shutdown_duration_seconds_bucket{le=\"30\"}",
		`toolset_http_requests_total{route="/api/v1/toolsets",method="GET",code="200"}`, "toolset_http_request_duration_seconds_bucket",
		"toolset_in_flight_requests", "toolset_open_connections", "toolset_discovery_duration_seconds_count", "toolset_configmap_writes_total",
		"toolset_configmap_drift_total", "toolset_snapshot_age_seconds", "go_goroutines", "process_resident_memory_bytes")
	p.stop()
	for _, line := range p.log.all() {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("a log line is not JSON: %q", line)
		}
	}
	p.says("DD-007 Kubernetes-aware graceful shutdown complete")
}

// What readiness and the log say when the folder of --manifests goes away; and 0 event
// streams means none.
func TestServeWithoutItsFolder(t *testing.T) {
	t.Parallel()
	dir := manifests(t, "prometheus")
	p := serve(t, "--manifests", dir, "--max-watchers", "0", "--log-level", "debug")
	p.answers("/api/v1/toolsets/watch", 503, "--max-watchers=0")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	p.eventually("/ready", func(status int, body string) bool {
		return status == 503 && strings.Contains(body, "The folder or file of --manifests has been missing") && !strings.Contains(body, "Kubernetes")
	})
	p.stop()
	p.says("The manifests folder cannot be read")
	p.says(`"msg":"A Service is listed","service":"monitoring/prometheus"`)
}

func TestBadSettingsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"serve"}, []string{"--manifests", "--kubeconfig", "inside"}},
		{[]string{"--manifests", t.TempDir(), "--read-timeout", "-1s", "--log-level", "loud"}, []string{"read-timeout", "log-level"}},
		{[]string{"dance"}, []string{"no command", "serve"}},
	} {
		code, stdout, stderr := runCommand(t, c.args...)
		if code != exitUsage {
			t.Errorf("%v: exit code %d", c.args, code)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%v does not mention %q:\n%s", c.args, want, stdout+stderr)
			}
		}
	}
}

// If the folder is the wrong one, the log says so, so that an empty list is not the only
// sign.
func TestServeOfNothingWarns(t *testing.T) {
	t.Parallel()
	p := serve(t, "serve", "--manifests", t.TempDir())
	p.until("No back end was found")
	p.stop()
}
