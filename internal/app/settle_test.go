package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// The first documents have what back ends say of themselves, and which of them are down: a
// restart must not change the documents twice. But nobody waits for ever, and who asks for
// them gets them at once.
func TestDocumentsWaitForTheFirstAnswers(t *testing.T) {
	const key = `"type":"prometheus"`
	for name, c := range map[string]struct {
		patience time.Duration
		ask      bool // for the documents
		want     bool // that the first documents have the answers
	}{
		"all answer": {patience: time.Hour, want: true},
		"none does":  {patience: time.Millisecond},
		"an order":   {patience: time.Hour, ask: true},
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			asked := make(chan string, 1000)
			answer := func(h http.HandlerFunc) *httptest.Server {
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked <- r.URL.Path
					<-gate
					h(w, r)
				}))
				t.Cleanup(s.Close)
				return s
			}
			down := answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			// It is called Grafana, and is Prometheus.
			other := answer(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/api/v1/status/buildinfo":
					io.WriteString(w, `{"status":"success","data":{"version":"3.5.0","revision":"a","goVersion":"go1.25"}}`) //nolint:errcheck // the client sees it
				case "/api/v1/query":
					io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`) //nolint:errcheck
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			})
			up := answer(func(http.ResponseWriter, *http.Request) {})
			service := func(name, url string) string {
				return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: monitoring, labels: {app: grafana}, annotations: {kubernaut.io/toolset-endpoint: %q}}\n"+
					"spec: {selector: {app: grafana, instance: %[1]s}, ports: [{name: http, port: 3000}]}\n---\n", name, url)
			}
			out := filepath.Join(t.TempDir(), "configmap.yaml")
			written := func() string {
				text, err := os.ReadFile(out)
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				return string(text)
			}
			var app *App
			r := runChanged(t, func(a *App) { app, a.patience = a, c.patience }, service("a-down", down.URL)+service("b-up", up.URL)+service("other", other.URL),
				"--write-configmap", out, "--health-interval=1s", "--health-attempts=1", "--health-timeout=5m", "--allow-endpoint-cidrs=127.0.0.0/8")
			for range 6 { // the first question and the first check of each
				select {
				case <-asked:
				case <-time.After(testenv.Patience):
					t.Fatal("the back ends are not asked")
				}
			}
			if c.want && written() != "" {
				t.Errorf("written before the first answers: %s", written())
			}
			if c.ask {
				resp, err := http.Post("http://"+r.api+"/api/v1/toolsets/generate", "application/json", nil)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%+v %v", resp, err)
				}
			}
			if !c.want {
				testenv.Eventually(t, testenv.Patience, "documents", func() bool { return written() != "" })
				if strings.Contains(written(), key) {
					t.Errorf("without an answer: %s", written())
				}
			}
			close(gate)
			testenv.Eventually(t, testenv.Patience, "documents with the answers", func() bool { return strings.Contains(written(), key) })
			settled := written()
			if c.want && strings.Index(settled, `"b-up"`) > strings.Index(settled, `"a-down"`) {
				t.Errorf("the one that is down comes first: %s", settled)
			}
			if c.want {
				checks := 0
				testenv.Eventually(t, testenv.Patience, "more health checks", func() bool { checks += len(drain(asked)); return checks > 20 })
				if now := written(); now != settled || counter(app, "toolset_configmap_writes_total{result=\"success\"}") != "1" {
					t.Errorf("written more than once: %s, and then %s", settled, now)
				}
			}
			http.DefaultClient.CloseIdleConnections()
			r.Stop()
			if code := <-r.code; code != shutdown.ExitOK {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// drain takes what is in a channel.
func drain(c chan string) (all []string) {
	for {
		select {
		case s := <-c:
			all = append(all, s)
		default:
			return all
		}
	}
}

// counter returns the value of a metric.
func counter(a *App, name string) string {
	var b strings.Builder
	a.set.WritePrometheus(&b)
	for line := range strings.Lines(b.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
