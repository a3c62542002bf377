package app

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// A runningApp is an App in this process.
type runningApp struct {
	told func()
	stop chan os.Signal
	code chan int
	logs *observer.ObservedLogs
	api  string
}

func (r *runningApp) HandOver(told func()) <-chan os.Signal { r.told = told; return r.stop }
func (r *runningApp) Stop()                                 { r.told(); r.stop <- syscall.SIGTERM }

// runApp runs the service with one back end, which has this name.
func runApp(t *testing.T, name string) *runningApp {
	t.Helper()
	return runAppWith(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: monitoring, labels: {app.kubernetes.io/name: prometheus}}\n"+
		"spec: {selector: {app: prometheus}, ports: [{name: http, port: 9090}]}\n", name), "--health-checks=false")
}

// runAppWith runs the service with a manifest and flags.
func runAppWith(t *testing.T, manifest string, flags ...string) *runningApp {
	t.Helper()
	return runChanged(t, func(*App) {}, manifest, flags...)
}

// runChanged is runAppWith with an App that change has changed.
func runChanged(t *testing.T, change func(*App), manifest string, flags ...string) *runningApp {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(append([]string{"--manifests", dir, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
		"--shutdown-propagation-delay", "0s"}, flags...), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	a, err := New(settings, "v1.2.3", zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	change(a)
	r := &runningApp{stop: make(chan os.Signal, 1), code: make(chan int, 1), logs: logs}
	go func() {
		code, err := a.Run(r)
		if err != nil {
			t.Error(err)
		}
		r.code <- code
	}()
	testenv.Eventually(t, testenv.Patience, "the cluster has been read", func() bool {
		return logs.FilterMessage("The cluster has been read").Len() == 1
	})
	r.api = logs.FilterMessage("Serving").All()[0].ContextMap()["api"].(string)
	return r
}

// status returns the HTTP status of a lookup of this toolset.
func (r *runningApp) status(t *testing.T, toolset string) int {
	t.Helper()
	resp, err := http.Get("http://" + r.api + "/api/v1/toolsets/" + toolset)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // only the status counts
	return resp.StatusCode
}

// Two services in one process are independent: one goes on when the other has ended.
func TestAppsKeepToThemselves(t *testing.T) {
	one, two := runApp(t, "first"), runApp(t, "second")
	for _, c := range []struct {
		of   *runningApp
		name string
		want int
	}{{one, "first", 200}, {one, "second", 404}, {two, "first", 404}, {two, "second", 200}} {
		if got := c.of.status(t, c.name); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	for _, r := range []*runningApp{one, two} {
		r.Stop()
		if code := <-r.code; code != shutdown.ExitOK {
			t.Errorf("exit code %d", code)
		}
		if r.logs.FilterMessage("DD-007 Kubernetes-aware graceful shutdown complete").Len() != 1 {
			t.Errorf("the shutdown is not complete: %v", r.logs.All())
		}
		if r == one && two.status(t, "second") != http.StatusOK {
			t.Error("the other one has ended, too")
		}
		http.DefaultClient.CloseIdleConnections()
	}
}
