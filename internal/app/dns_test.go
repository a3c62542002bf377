package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// nameServer starts a DNS server that knows one name, at 127.0.0.1, and returns its address
// and whether it was asked for a name.
func nameServer(t *testing.T, known string) (address string, asked func(string) bool) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		names = map[string]bool{}
		ended = make(chan struct{})
	)
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			mu.Lock()
			names[q.Name.String()] = true
			mu.Unlock()
			m.Response, m.Additionals = true, nil
			switch {
			case q.Name.String() != known:
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() {
		pc.Close() //nolint:errcheck // it ends the goroutine
		<-ended
	})
	return pc.LocalAddr().String(), func(name string) bool {
		mu.Lock()
		defer mu.Unlock()
		return names[name]
	}
}

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
	server, asked := nameServer(t, "known.monitoring.svc.cluster.local.")
	checked := []string{"--health-checks", "--health-attempts=1", "--allow-endpoint-cidrs=127.0.0.0/8", "--dns-server", server}

	for name, want := range map[string]string{"known": "verified healthy", "unknown": "unverified name does not resolve: unknown.monitoring.svc.cluster.local"} {
		r := runAppWith(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: monitoring}\n"+
			"spec: {selector: {app.kubernetes.io/name: prometheus}, ports: [{name: http-web, port: %s}]}\n", name, port), checked...)
		testenv.Eventually(t, testenv.Patience, name+" is "+want, func() bool { return r.state(t, name) == want })
		http.DefaultClient.CloseIdleConnections()
		r.Stop()
		if code := <-r.code; code != shutdown.ExitOK {
			t.Errorf("exit code %d", code)
		}
		if full := name + ".monitoring.svc.cluster.local."; !asked(full) {
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
