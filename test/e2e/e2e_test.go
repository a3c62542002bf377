// Package e2e tests the service in the way in which people run it: the binary as a
// process, with its command line, its two ports, its log and its exit code, and in tests
// about a cluster with a real Kubernetes API server.
//
//	p := serve(t, "--manifests", dir)   // runs and listens; it ends with the test
//	p.answers("/api/v1/toolsets", "", 200, `"total":1`)
//	p.stop()                            // and it must say that all went well
//
// A [process] is the service, and a [plane] an API server. Tests share one plane unless
// they stop it or fill it, and use namespaces, users and names of their own in it. A test
// that mostly waits runs in parallel with others.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// repository is the root of the module.
const repository = "../.."

// Exit codes of the binary, except those of signals.
const (
	exitFailed = 1
	exitUsage  = 2
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, err := range []error{sharedPlane.stop(), os.RemoveAll(builtIn)} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "something is left behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

var builtIn string // the folder of the binaries; empty until one is built

// binary builds the service once, with the race detector if the tests have it.
var binary = sync.OnceValues(func() (string, error) { return build("dynamic-toolset", testenv.Race) })

// released builds the service as it is released. It is for tests in which the race
// detector would find nothing: with it a process takes half a second longer to start.
var released = sync.OnceValues(func() (string, error) {
	if !testenv.Race {
		return binary()
	}
	return build("dynamic-toolset-released", false)
})

var building sync.Mutex // so that one is built at a time; guards builtIn

func build(name string, race bool) (path string, err error) {
	building.Lock()
	defer building.Unlock()
	if builtIn == "" {
		if builtIn, err = os.MkdirTemp("", "dynamic-toolset-e2e-"); err != nil {
			return "", err
		}
	}
	path = filepath.Join(builtIn, name)
	cmd := exec.Command("go", "build", fmt.Sprintf("-race=%v", race), "-o", path, ".") // #nosec G204 -- our own module
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// command returns the binary with args, not yet started. Its environment lacks the
// variables of the tests that are about settings or a cluster.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return commandOf(t, binary, args...)
}

func commandOf(t *testing.T, binary func() (string, error), args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...) // #nosec G204 -- what was just built
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TOOLSET_") && !strings.HasPrefix(pair, "KUBERNETES_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	// The race detector would delay the end of each process by a second.
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// runCommand runs the released binary to its end.
func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := commandOf(t, released, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// writeFile writes a file with this name in a new folder, and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// addManifest writes a Service that is a Prometheus into a folder of manifests.
func addManifest(t *testing.T, dir, name string) {
	t.Helper()
	const manifest = `apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: monitoring, labels: {app.kubernetes.io/name: prometheus}}
spec:
  selector: {app.kubernetes.io/name: prometheus, app.kubernetes.io/instance: %[1]s}
  ports: [{name: http, port: 9090, targetPort: 9090}]
`
	if err := os.WriteFile(filepath.Join(dir, name+".yaml"), fmt.Appendf(nil, manifest, name), 0o600); err != nil {
		t.Fatal(err)
	}
}

// manifests returns a folder of Services with these names, each a Prometheus.
func manifests(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		addManifest(t, dir, name)
	}
	return dir
}
