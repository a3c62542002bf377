//go:build linux

package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// deployed is what the manifests say about memory and connections.
type deployed struct {
	limit          int64
	env            []string
	maxConnections int
}

// readDeployed reads deploy/base, and the component for TLS over it.
func readDeployed(t *testing.T, withTLS bool) (d deployed) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/base/deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d.add(t, text)
	if withTLS {
		text, err := os.ReadFile(filepath.Join(repository, "deploy/components/tls/kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var component struct{ Patches []struct{ Patch string } }
		if err := yaml.Unmarshal(text, &component); err != nil {
			t.Fatal(err)
		}
		d.add(t, []byte(component.Patches[0].Patch))
	}
	return d
}

// add reads a Deployment, or a patch of one.
func (d *deployed) add(t *testing.T, text []byte) {
	t.Helper()
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	d.limit = container.Resources.Limits.Memory().Value()
	for _, e := range container.Env {
		switch e.Name {
		case "GOMEMLIMIT":
			d.env = append(d.env, e.Name+"="+e.Value) // the last one counts
		case "TOOLSET_MAX_CONNECTIONS":
			var err error
			if d.maxConnections, err = strconv.Atoi(e.Value); err != nil {
				t.Fatal(err)
			}
			d.env = append(d.env, e.Name+"="+e.Value)
		}
	}
}

// A measured is the service as a process in a memory cgroup.
type measured struct {
	deployed
	*process
	apiAddr, metricsAddr string
	start                int64 // RSS before any client
	group                cgroup
}

// startMeasured starts the service with its usual arguments and args; with TLS if there
// are any args.
func startMeasured(t *testing.T, args ...string) *measured {
	t.Helper()
	m := &measured{deployed: readDeployed(t, len(args) > 0)}
	err := openFiles(uint64(m.maxConnections) + 1000)
	if err != nil {
		testenv.Missing(t, err.Error(), "raise it (ulimit -Hn)")
	}
	if m.group, err = newCgroup(m.limit); err != nil {
		testenv.Missing(t, "a memory cgroup of its own: "+err.Error(), "run as root, where cgroups can be made")
	}
	t.Cleanup(m.group.remove)
	cmd := serviceCommand(t, slices.Concat([]string{"serve", "--manifests", manifestsOfMany(t, 2000),
		"--health-checks=false", "--shutdown-propagation-delay=0s"}, args)...)
	cmd.Args = slices.Concat([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, m.group.procs(), cmd.Path}, cmd.Args[1:])
	cmd.Path, cmd.Err = "/bin/sh", nil
	cmd.Env = append(cmd.Env, m.env...)
	m.process = start(t, cmd)
	m.serving()
	m.client.Transport.(*http.Transport).TLSClientConfig = anyServer
	_, m.apiAddr, _ = strings.Cut(m.api, "://")
	_, m.metricsAddr, _ = strings.Cut(m.metrics, "://")
	m.answers("/api/v1/toolsets", http.StatusOK, `"total":2000`)
	m.start = m.rss()
	t.Logf("limit %d MiB, %v, %d connections; at the start it has %s", m.limit>>20, m.env, m.maxConnections, m.memory())
	return m
}

// openFiles allows this process and those that it starts n open files.
func openFiles(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur = n
	if limit.Max < n {
		limit.Max = n // root may
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("a limit of %d open files: %w", n, err)
	}
	return nil
}

// manifestsOfMany writes Services of n back ends.
func manifestsOfMany(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	for i := range n {
		s := corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "many", Name: fmt.Sprintf("a-%04d", i), Labels: map[string]string{"app.kubernetes.io/name": "prometheus"}},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 9090}}, Selector: map[string]string{"app": fmt.Sprint(i)}},
		}
		data, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "---\n%s\n", data)
	}
	if err := os.WriteFile(filepath.Join(dir, "many.yaml"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dead describes how the process has ended; empty if it has not.
func (m *measured) dead() string {
	if m.ended() {
		return m.cmd.ProcessState.String()
	}
	return ""
}

// memory describes the memory of the process.
func (m *measured) memory() string {
	return fmt.Sprintf("%d MiB (RSS %d MiB)", m.group.usage()>>20, m.rss()>>20)
}

func (m *measured) rss() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int64
	fmt.Sscan(rest, &kilobytes) //nolint:errcheck // 0 shows
	return kilobytes << 10
}

// gauge returns a series.
func (m *measured) gauge(t *testing.T, series string) (value float64) {
	t.Helper()
	_, text, err := m.do(http.MethodGet, "/metrics")
	if err != nil {
		t.Fatalf("%v; the process: %s", err, m.dead())
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			fmt.Sscan(rest, &value) //nolint:errcheck // 0 shows
			return value
		}
	}
	t.Fatalf("no series %s", series)
	return 0
}

// anyServer is the TLS configuration of the clients here, which verify nothing. It has
// the key exchange that costs least with the race detector, since there are 40,000
// handshakes.
var anyServer = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP256}} // #nosec G402 -- whom they talk to is known

// speak returns conn for the use of a client, with TLS if the service has it.
func (m *measured) speak(conn net.Conn) net.Conn {
	conn.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
	if strings.HasPrefix(m.api, "https:") {
		return tls.Client(conn, anyServer)
	}
	return conn
}
