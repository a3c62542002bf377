package monitoringtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// binary is the service, built once for all tests.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir) //nolint:errcheck // a temporary folder
	}
	os.Exit(code)
}

// client makes the requests of the tests; each must be answered soon.
var client = &http.Client{Timeout: testenv.Patience}

func buildService(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "monitoringtest"); binary.err != nil {
			return
		}
		// go test caches a pass until a file changes that the test has read, and the
		// files that the compiler reads don't count. So the test reads them.
		for _, folder := range []string{".", "auth", "cluster", "config", "internal", "problem", "service", "shutdown", "transport"} {
			binary.err = filepath.WalkDir(filepath.Join("../..", folder), func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() && folder == "." && path != "../.." {
					return fs.SkipDir
				}
				if err == nil && !d.IsDir() {
					_, err = os.Stat(path)
				}
				return err
			})
			if binary.err != nil {
				return
			}
		}
		binary.path = filepath.Join(binary.dir, "dynamic-toolset")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary.path, "kubernaut.io/dynamic-toolset").CombinedOutput(); err != nil { // #nosec G204 -- our own module
			binary.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// start starts a program. If it still runs when the test ends it is killed, and if the
// test fails its output is logged. The channel receives how it ended.
func start(t *testing.T, path string, args ...string) (*exec.Cmd, <-chan error) {
	t.Helper()
	cmd := exec.Command(path, args...) // #nosec G204 -- a program under test
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TOOLSET_") && !strings.HasPrefix(pair, "KUBERNETES_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		defer close(ended)
		result <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-ended
		if t.Failed() {
			t.Logf("%s:\n%.20000s", filepath.Base(path), log.String())
		}
	})
	return cmd, result
}

// A replica is a running service with the example cluster.
type replica struct {
	t            *testing.T
	api, metrics string // addresses of the two ports
	manifests    string // its own folder of manifests
	configMap    string // folder of the file with the ConfigMap
	cmd          *exec.Cmd
	ended        <-chan error
}

// startReplica starts the service with a copy of the example cluster. In it the only real
// back end, the service itself, has the replica's address.
func startReplica(t *testing.T, args ...string) *replica {
	t.Helper()
	r := &replica{t: t, api: testenv.FreeAddress(t), metrics: testenv.FreeAddress(t), manifests: t.TempDir(), configMap: filepath.Join(t.TempDir(), "written")}
	if err := os.Mkdir(r.configMap, 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../examples/cluster/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("the example cluster is not there:", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("http://127.0.0.1:8080"), []byte("http://"+r.api))
		r.manifest(filepath.Base(file), b)
	}
	r.cmd, r.ended = start(t, buildService(t), append([]string{
		"--manifests", r.manifests, "--listen", r.api, "--metrics-listen", r.metrics, "--log-format", "json",
		"--write-configmap", filepath.Join(r.configMap, "configmap.yaml"), "--allow-endpoint-cidrs", "127.0.0.0/8",
		"--holmesgpt-reload-url", "http://127.0.0.1:9/api/admin/reload/toolsets", // for its series; nothing is sent for 90 s
		"--health-interval", "2s", "--health-attempts", "1", "--health-timeout", "1s",
	}, args...)...)
	eventually(t, "ready", func() bool { return r.get("/ready") == 200 })
	return r
}

func (r *replica) manifest(name string, content []byte) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.manifests, name), content, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// get sends a request and returns the status; 0 without an answer.
func (r *replica) get(path string) int {
	resp, err := client.Get("http://" + r.api + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()        //nolint:errcheck // it was only read
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // likewise
	return resp.StatusCode
}

func (r *replica) post(path, body string) int {
	resp, err := client.Post("http://"+r.api+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer resp.Body.Close() //nolint:errcheck // only the status counts
	return resp.StatusCode
}

func (r *replica) wantStatus(want int, what string, got int) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// scrape returns the text of /metrics, or an error once the port is closed.
func (r *replica) scrape() (string, error) {
	resp, err := client.Get("http://" + r.metrics + "/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if good() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// exercise causes everything that is counted at least twice: lookups, mistakes of
// clients, errors of the service, discoveries, successful and failed writes.
func (r *replica) exercise() {
	t := r.t
	t.Helper()
	for range 2 {
		for path, want := range map[string]int{
			"/api/v1/toolsets": 200, "/api/v1/toolsets/grafana": 200, "/api/v1/services": 200, "/api/v1/toolset": 200,
			"/api/v1/toolsets/nobody": 404, "/nothing": 404, "/api/v1/toolsets?healthy=perhaps": 400,
			"/health/live": 200, "/health/ready": 200, "/health": 200, "/version": 200, "/openapi.json": 200,
		} {
			r.wantStatus(want, path, r.get(path))
		}
		r.wantStatus(200, "validate", r.post("/api/v1/toolsets/validate", `{"toolsets":[]}`))
		r.wantStatus(200, "generate", r.post("/api/v1/toolsets/generate", ""))
		r.wantStatus(200, "discover", r.post("/api/v1/discover?wait=15s", ""))
	}
	// Without its folder the ConfigMap can't be written once it has changed.
	if err := os.RemoveAll(r.configMap); err != nil {
		t.Fatal(err)
	}
	r.manifest("another.yaml", []byte(`apiVersion: v1
kind: Service
metadata: {name: another-grafana, namespace: monitoring, labels: {app.kubernetes.io/name: grafana}}
spec: {selector: {app.kubernetes.io/name: grafana}, ports: [{name: http, port: 3000}]}
`))
	eventually(t, "the new manifest is served", func() bool { return r.get("/api/v1/toolsets/another-grafana") == 200 })
	for range 2 {
		r.wantStatus(503, "generate without a folder", r.post("/api/v1/toolsets/generate", ""))
	}
}
