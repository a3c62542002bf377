package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
)

func TestLeaveOutNames(t *testing.T) {
	if a, b := config.HolmesGPTBuiltins(), holmesgpt.Builtins(); !slices.Equal(a, b) {
		t.Errorf("the setting takes %q, the document has %q", a, b)
	}
}

// Too many tools are told once, when they become too many.
func TestManyToolsAreTold(t *testing.T) {
	logged, logs := observer.New(zap.WarnLevel)
	a := &App{settings: &config.Settings{}, log: zap.New(logged), set: metrics.NewSet(), settled: newGate()}
	a.settled.open()
	a.catalogue = catalogue.New(func(s *corev1.Service) *service.Backend {
		return &service.Backend{Key: service.Key{Namespace: s.Namespace, Name: s.Name}, Name: s.Name, Type: "jaeger", Enabled: true, Endpoint: "http://" + s.Name}
	}, nil)
	documents := a.documents()
	cluster := func(n int) {
		var all []*corev1.Service
		for i := range n {
			s := &corev1.Service{}
			s.Namespace, s.Name = "n", fmt.Sprint("j", i)
			all = append(all, s)
		}
		a.catalogue.Replace(all)
		a.catalogue.Build()
		documents()
		documents()
	}
	for i, c := range []struct{ backends, told, tools int }{{19, 0, 95}, {20, 1, 100}, {30, 1, 150}, {1, 1, 5}, {20, 2, 100}} {
		cluster(c.backends)
		var b strings.Builder
		a.set.WritePrometheus(&b)
		if n := logs.Len(); n != c.told || !strings.Contains(b.String(), fmt.Sprintf("toolset_holmesgpt_tools %d\n", c.tools)) {
			t.Errorf("step %d: told %d times, want %d; %s", i, n, c.told, &b)
		}
	}
}

// HolmesGPT is told after a write, once for several, and again if it does not answer well.
func TestReload(t *testing.T) {
	calls := make(chan string)
	answers := make(chan int, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- r.Method + " " + r.URL.Path
		w.WriteHeader(<-answers)
	}))
	defer server.Close()
	logged, logs := observer.New(zap.InfoLevel)
	r := newReloader(server.URL+"/api/admin/reload/toolsets?token=secret", 0, zap.New(logged), metrics.NewSet())
	r.pause = 0
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.run(ctx) }()
	call := func(answer int) {
		t.Helper()
		select {
		case got := <-calls:
			if got != "POST /api/admin/reload/toolsets" {
				t.Error(got)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no call")
		}
		answers <- answer
	}
	r.written()
	call(200)
	r.written()
	call(503)
	call(302)
	call(404) // the last attempt
	r.written()
	r.written()
	call(200)
	for logs.FilterMessage("HolmesGPT has loaded its toolsets again").Len() < 2 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := logs.FilterMessageSnippet("could not be told").Len(); n != 3 {
		t.Errorf("%d failures are in the log", n)
	}
	for _, e := range logs.All() {
		if strings.Contains(fmt.Sprint(e.ContextMap()), "secret") {
			t.Errorf("the log has %v", e.ContextMap())
		}
	}
}
