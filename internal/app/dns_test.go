package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/nameserver"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// Health checks and identification resolve names by the server that --dns-server names.
func TestDNSServer(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path { // as Prometheus does
		case "/-/healthy":
		case "/api/v1/status/buildinfo":
			io.WriteString(w, `{"status":"success","data":{"version":"3.5.0","revision":"8be3a9560fbdd18a94dedec4b747c35178177202","goVersion":"go1.24.5"}}`) //nolint:errcheck // the client tells
		case "/api/v1/query":
			io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`) //nolint:errcheck // the client tells
		default:
			http.NotFound(w, r)
		}
	}))
	defer backend.Close()
	_, port, _ := net.SplitHostPort(backend.Listener.Addr().String())
	var asked sync.Map // names
	server := nameserver.Start(t, func(name string) []netip.Addr {
		asked.Store(name, true)
		if name != "known.monitoring.svc.cluster.local." {
			return nil
		}
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	})
	checked := []string{"--health-checks", "--health-attempts=1", "--allow-endpoint-cidrs=127.0.0.0/8", "--dns-server", server.Address}

	for name, want := range map[string]string{"known": "verified healthy", "unknown": "unverified name does not resolve: unknown.monitoring.svc.cluster.local"} {
		r := runAppWith(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: monitoring}\n"+
			"spec: {selector: {app.kubernetes.io/name: prometheus}, ports: [{name: http-web, port: %s}]}\n", name, port), checked...)
		testenv.Eventually(t, testenv.Patience, name+" is "+want, func() bool { return r.state(t, name) == want })
		http.DefaultClient.CloseIdleConnections()
		r.Stop()
		if code := <-r.code; code != shutdown.ExitOK {
			t.Errorf("exit code %d", code)
		}
		full := name + ".monitoring.svc.cluster.local."
		if _, ok := asked.Load(full); !ok {
			t.Errorf("nobody asked for %s", full)
		}
	}
}

// state returns the verdict of a toolset, and its health or the reason for it.
func (r *runningApp) state(t *testing.T, toolset string) string {
	t.Helper()
	resp, err := http.Get("http://" + r.api + "/api/v1/toolsets/" + toolset)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	var found struct {
		Identity struct{ Verdict string }
		Healthy  *bool
		Reason   string `json:"healthReason"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	state := found.Identity.Verdict + " " + found.Reason
	if found.Healthy != nil && *found.Healthy {
		state = found.Identity.Verdict + " healthy"
	}
	return strings.TrimSpace(state)
}
