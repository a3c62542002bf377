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

// pageOf returns the page for people.
func pageOf(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	return string(body)
}

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
			page := pageOf(t, "http://"+r.api+"/")
			page, _, _ = strings.Cut(page, `id="legend"`) // which has every word
			if off := which == "off"; strings.Contains(page, `</svg>not asked</span>`) != off || strings.Contains(page, `</svg>unverified</span>`) == off {
				_, shown, _ := strings.Cut(page, "<main")
				shown, _, _ = strings.Cut(shown, "</main>")
				t.Errorf("the page does not say whether back ends are asked: %s", shown)
			}
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
