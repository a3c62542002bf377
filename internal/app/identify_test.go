package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// With --identify=off a back end gets its health checks and nothing else; otherwise it is
// asked who it is.
func TestIdentifyOffSendsNothing(t *testing.T) {
	for _, which := range []string{"off", "recognised", "candidates"} {
		t.Run(which, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			count := func(path string) (n int) {
				mu.Lock()
				defer mu.Unlock()
				for _, p := range asked {
					if p == path {
						n++
					}
				}
				return n
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked = append(asked, r.URL.Path)
				mu.Unlock()
				switch r.URL.Path {
				case "/api/v1/status/buildinfo":
					io.WriteString(w, `{"status":"success","data":{"version":"3.5.0","revision":"a","goVersion":"go1.25"}}`) //nolint:errcheck // the client sees it
				case "/api/v1/query":
					io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`) //nolint:errcheck
				}
			}))
			defer server.Close()
			r := runAppWith(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: prometheus, namespace: monitoring, annotations: {kubernaut.io/toolset-endpoint: %q}}\n"+
				"spec: {selector: {app: prometheus}, ports: [{name: http, port: 9090}]}\n", server.URL),
				"--identify="+which, "--health-interval=1s", "--allow-endpoint-cidrs=127.0.0.0/8")
			verified := func() bool {
				resp, err := http.Get("http://" + r.api + "/api/v1/toolsets/prometheus")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close() //nolint:errcheck // it was read
				body, _ := io.ReadAll(resp.Body)
				return strings.Contains(string(body), `"identity":{"verdict":"verified","product":"Prometheus","version":"3.5.0"`)
			}
			if which != "off" {
				testenv.Eventually(t, testenv.Patience, "it is verified", verified)
			}
			testenv.Eventually(t, testenv.Patience, "three health checks", func() bool { return count("/-/healthy") >= 3 })
			mu.Lock()
			all := slices.Compact(slices.Sorted(slices.Values(asked)))
			mu.Unlock()
			if which == "off" && (!slices.Equal(all, []string{"/-/healthy"}) || verified()) {
				t.Errorf("asked %q", all)
			}
			http.DefaultClient.CloseIdleConnections()
			r.Stop()
			if code := <-r.code; code != shutdown.ExitOK {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
