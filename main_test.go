package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/signals"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// TestMain makes the test binary the service itself when it is asked to be, so
// that the tests run the real command in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("BE_DYNAMIC_TOOLSET") == "1" {
		main()
	}
	signals.Release() // Ctrl-C ends the tests
	os.Exit(m.Run())
}

// command returns the service with args, not yet started.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...) // #nosec G204 -- the test itself
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TOOLSET_") && !strings.HasPrefix(pair, "KUBERNETES_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	// The race detector would keep each process alive for a second after its end.
	cmd.Env = append(cmd.Env, "BE_DYNAMIC_TOOLSET=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// eventually asks url until good accepts the answer.
func eventually(t *testing.T, url string, good func(status int, body string) bool) string {
	t.Helper()
	client := &http.Client{Timeout: time.Minute}
	var last string
	for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // it was only read
		if good(resp.StatusCode, string(b)) {
			return string(b)
		}
		last = fmt.Sprintf("%d %s", resp.StatusCode, b)
	}
	t.Fatalf("%s never answered as expected; last: %.2000s", url, last)
	return ""
}

const prometheusManifest = `apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: monitoring, labels: {app.kubernetes.io/name: prometheus}}
spec:
  selector: {app.kubernetes.io/name: prometheus, app.kubernetes.io/instance: %[1]s}
  ports: [{name: http, port: 9090, targetPort: 9090}]
`

// The whole service, as a process, from a folder of manifests to lookups, to
// the written ConfigMap, to the end by SIGTERM.
func TestServeManifests(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "configmap.yaml")
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(fmt.Sprintf(prometheusManifest, name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("prometheus")
	api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
	cmd := command(t, "serve", "--manifests", dir, "--write-configmap", out, "--listen", api, "--metrics-listen", metricsPort,
		"--shutdown-propagation-delay", "500ms", "--log-format", "json")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	lines := make(chan []string)
	go func() {
		var all []string
		for s := bufio.NewScanner(stderr); s.Scan(); {
			all = append(all, s.Text())
		}
		lines <- all
	}()

	eventually(t, "http://"+api+"/ready", func(status int, _ string) bool { return status == 200 })
	eventually(t, "http://"+api+"/api/v1/toolsets/prometheus", func(status int, body string) bool {
		return status == 200 && strings.Contains(body, `"serviceEndpoint":"http://prometheus.monitoring.svc.cluster.local:9090"`)
	})
	write("prometheus-second")
	eventually(t, "http://"+api+"/api/v1/toolsets", func(_ int, body string) bool { return strings.Contains(body, `"total":2`) })
	if err := os.Remove(filepath.Join(dir, "prometheus.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "http://"+api+"/api/v1/toolsets", func(_ int, body string) bool {
		return strings.Contains(body, `"total":1`) && !strings.Contains(body, `"name":"prometheus"`)
	})
	eventually(t, "http://"+api+"/api/v1/toolset", func(_ int, body string) bool {
		b, err := os.ReadFile(out)
		return err == nil && strings.Contains(string(b), "prometheus-second") && !strings.Contains(string(b), `"name":"prometheus"`)
	})
	eventually(t, "http://"+metricsPort+"/metrics", func(_ int, body string) bool {
		for _, name := range []string{
			`toolset_services_discovered{service_type="prometheus"} 1`, "toolset_error_responses_total", "toolset_shutdown_duration_seconds_bucket{le=\"30\"}",
			`toolset_http_requests_total{route="/api/v1/toolsets",method="GET",code="200"}`, "toolset_http_request_duration_seconds_bucket",
			"toolset_in_flight_requests", "toolset_open_connections", "toolset_discovery_duration_seconds_count", "toolset_configmap_writes_total",
			"toolset_configmap_drift_total", "toolset_snapshot_age_seconds", "go_goroutines", "process_resident_memory_bytes",
		} {
			if !strings.Contains(body, name) {
				t.Logf("not there yet: %s", name)
				return false
			}
		}
		return true
	})

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	all := <-lines
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	for _, line := range all {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("a log line is not JSON: %q", line)
		}
	}
	if !strings.Contains(strings.Join(all, "\n"), "DD-007 Kubernetes-aware graceful shutdown complete") {
		t.Errorf("the shutdown did not complete:\n%s", strings.Join(all, "\n"))
	}
}

// What readiness and the log say when the folder of --manifests goes away; and
// that a setting of 0 event streams means none.
func TestServeWithoutItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "manifests")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(fmt.Sprintf(prometheusManifest, "prometheus")), 0o600); err != nil {
		t.Fatal(err)
	}
	api := testenv.FreeAddress(t)
	cmd := command(t, "--manifests", dir, "--listen", api, "--metrics-listen", testenv.FreeAddress(t), "--max-watchers", "0",
		"--shutdown-propagation-delay", "0s", "--log-level", "debug", "--log-format", "json")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	eventually(t, "http://"+api+"/api/v1/toolsets/watch", func(status int, body string) bool {
		return status == 503 && strings.Contains(body, "--max-watchers=0")
	})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "http://"+api+"/ready", func(status int, body string) bool {
		return status == 503 && strings.Contains(body, "The folder of --manifests has been missing") && !strings.Contains(body, "Kubernetes")
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	for _, want := range []string{"The manifests folder cannot be read", `"msg":"A Service is listed","service":"monitoring/prometheus"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not in the log: %s\n%s", want, log.String())
		}
	}
}

func TestBadSettingsAreRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"serve"}, []string{"--manifests", "--kubeconfig", "inside"}},
		{[]string{"--manifests", t.TempDir(), "--read-timeout", "-1s", "--log-level", "loud"}, []string{"read-timeout", "log-level"}},
		{[]string{"dance"}, []string{"no command", "serve"}},
	} {
		cmd := command(t, c.args...)
		b, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != exitUsage {
			t.Errorf("%v: %v, exit code %d", c.args, err, cmd.ProcessState.ExitCode())
		}
		for _, want := range c.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("%v does not mention %q:\n%s", c.args, want, b)
			}
		}
	}
}

// Every FILE:FUNCTION in the requirements' map exists.
func TestRequirementMap(t *testing.T) {
	b, err := os.ReadFile("docs/BR_MAPPING.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z_/]+\\.go):([A-Za-z]+)`").FindAllStringSubmatch(string(b), -1)
	if len(names) < 40 {
		t.Fatalf("only %d names found: the map has another form than this test reads", len(names))
	}
	for _, n := range names {
		src, err := os.ReadFile(n[1])
		if err != nil {
			t.Errorf("%s:%s: %v", n[1], n[2], err)
			continue
		}
		if !regexp.MustCompile(`(?m)^(func (\([a-z]+ \*?[A-Za-z]+\) )?|\t)` + n[2] + `\(`).Match(src) {
			t.Errorf("%s has no %s", n[1], n[2])
		}
	}
	requirements, err := os.ReadFile("docs/BUSINESS_REQUIREMENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	told, mapped := requirementNumbers(string(requirements)), requirementNumbers(string(b))
	for n := 1; n <= 43; n++ {
		if told[n] != 1 || mapped[n] < 1 {
			t.Errorf("BR-TOOLSET-%03d is in the table of the requirements %d times, in the map %d times", n, told[n], mapped[n])
		}
	}
	for i := 1; i <= 5; i++ {
		if !strings.Contains(string(b), fmt.Sprintf("| AC-039-%d |", i)) {
			t.Errorf("AC-039-%d is not mapped", i)
		}
	}
	for i := 1; i <= 8; i++ {
		if !strings.Contains(string(b), fmt.Sprintf("| AC-040-%d |", i)) {
			t.Errorf("AC-040-%d is not mapped", i)
		}
	}
}

// requirementNumbers counts the numbers in the first column of the first table of
// a document: "BR-TOOLSET-010 to 012", "001..009", "025, 029".
func requirementNumbers(doc string) map[int]int {
	counts := map[int]int{}
	inTable := false
	for line := range strings.Lines(doc) {
		list, isRow := strings.CutPrefix(line, "| BR-TOOLSET-")
		if !isRow {
			if inTable && !strings.HasPrefix(line, "|") {
				break
			}
			continue
		}
		inTable = true
		list, _, _ = strings.Cut(list, "|")
		for item := range strings.SplitSeq(list, ",") {
			var first, last int
			if n, _ := fmt.Sscanf(strings.ReplaceAll(item, "..", " to "), "%d to %d", &first, &last); n < 2 {
				last = first
			}
			for n := first; n <= last; n++ {
				counts[n]++
			}
		}
	}
	return counts
}

// Who names the wrong folder learns so from the log, not from an empty list only.
func TestServeOfNothingWarns(t *testing.T) {
	p := tell(t, command(t, "serve", "--manifests", t.TempDir(), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
		"--shutdown-propagation-delay", "0s", "--log-format", "json"))
	p.until("No back end was found")
	p.send(syscall.SIGTERM)
	p.ends(0)
}
