package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// explained is an Options.Explain of a cluster with one Prometheus, and with Services for
// each kind of answer.
func explained(_ context.Context, key service.Key) (*explain.Document, error) {
	s := svc(key.Namespace, key.Name, "prometheus")
	s.Spec.Selector = map[string]string{"app": "prometheus"}
	s.Spec.Ports = []corev1.ServicePort{{Name: "web", Port: 9090}}
	s.Annotations = map[string]string{detect.AnnotationToolset: "yes", "kubernaut.io/mine": "<script>\x00\xff"}
	x := detect.Default().Explain(s, detect.Options{})
	f := catalogue.Facts{Found: x.Result.Backend, Backend: x.Result.Backend, Checked: true}
	switch {
	case key.Namespace == "elsewhere":
		return explain.NotWatched(key, []string{"monitoring"}), nil
	case key.Name == "none":
		return nil, explain.NewMissing(key, []service.Key{{Namespace: "monitoring", Name: "nine"}, {Namespace: "other", Name: "none"}})
	case key.Name == "away":
		return nil, errors.New("the API server at https://10.0.0.1 is down")
	case key.Name == "full":
		f.Place = &snapshot.Place{Toolset: service.Key{Namespace: "monitoring", Name: "other"}, Alias: true, WhyAlias: "it is older",
			Aliases: []service.Key{{Namespace: "monitoring", Name: "third"}}, Primary: service.Key{Namespace: "a", Name: "b"}, WhyPrimary: "it is better"}
		f.Health = service.Health{Healthy: true, Reason: "answered 200", CheckedAt: time.Now()}
		f.Question = service.Question{URLs: []string{"http://p:9090"}}
		f.Identity = service.Identity{Verdict: service.Verified, Product: "Prometheus", Version: "3.5.0", Evidence: []string{"GET /api/v1/status/buildinfo answered as Prometheus 3.5.0"}, At: time.Now()}
		f.Overrides = []overrides.Match{{At: "toolsets[2]", Changes: []string{"disable: true"}}}
	}
	return explain.Explain(key, &x, &f), nil
}

func TestExplainProblems(t *testing.T) {
	f := start(t, func(o *options) { o.Explain = explained })
	d := wantProblem(t, f.do("GET", "/api/v1/services/monitoring/none/explain", ""), 404, "not-found")
	if d.Detail != `There is no Service "none" in the namespace "monitoring"; did you mean other/none or monitoring/nine?` {
		t.Error(d.Detail)
	}
	d = wantProblem(t, f.do("GET", "/api/v1/services/monitoring/away/explain", ""), 503, "service-unavailable")
	if strings.Contains(d.Detail, "10.0.0.1") || !strings.Contains(d.Detail, "The cause is in the service's log") {
		t.Error(d.Detail)
	}
	if f.logs.FilterMessage("A Service could not be explained").Len() != 1 {
		t.Error("the cause is not in the log")
	}
	wantProblem(t, f.do("POST", "/api/v1/services/monitoring/x/explain", "{}", "Content-Type", "application/json"), 405, "method-not-allowed")
	for _, path := range []string{"/api/v1/services/monitoring/x", "/api/v1/services/monitoring/explain", "/api/v1/services/a/b/c/explain"} {
		wantProblem(t, f.do("GET", path, ""), 404, "not-found")
	}
	if r := f.do("HEAD", "/api/v1/services/monitoring/x/explain", ""); r.StatusCode != 200 || len(r.body) > 0 {
		t.Error(r)
	}
	wantProblem(t, start(t, nil).do("GET", "/api/v1/services/monitoring/x/explain", ""), 503, "service-unavailable")
}

// What others wrote into annotations is data, and nothing else.
func TestExplainHostileAnnotations(t *testing.T) {
	f := start(t, func(o *options) { o.Explain = explained })
	r := f.do("GET", "/api/v1/services/monitoring/x/explain", "")
	var d explain.Document
	if err := json.Unmarshal(r.body, &d); err != nil || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %s", err, r)
	}
	if len(d.Annotations) != 2 || !strings.HasPrefix(d.Annotations[0].Value, "<script>") || d.Annotations[0].Problem == "" {
		t.Errorf("%+v", d.Annotations)
	}
}

// At most four explanations are made at the same time, and none for longer than 5 s.
func TestExplainIsBounded(t *testing.T) {
	entered, leave := make(chan context.Context, 10), make(chan struct{})
	f := start(t, func(o *options) {
		o.Explain = func(ctx context.Context, key service.Key) (*explain.Document, error) {
			entered <- ctx
			<-leave
			return explained(ctx, key)
		}
	})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			if r, err := send(f.url, http.MethodGet, "/api/v1/services/monitoring/x/explain", ""); err != nil || r.StatusCode != 200 {
				t.Error(r, err)
			}
		})
	}
	for range 4 {
		select {
		case ctx := <-entered:
			if until, ok := ctx.Deadline(); !ok || time.Until(until) > 5*time.Second {
				t.Errorf("it may take until %v", until)
			}
		case <-time.After(testenv.Patience):
			t.Fatal("four explanations are not made at the same time")
		}
	}
	if d := wantProblem(t, f.do("GET", "/api/v1/services/monitoring/x/explain", ""), 503, "service-unavailable"); !strings.Contains(d.Detail, "as many Services as it can") {
		t.Error(d.Detail)
	}
	close(leave)
	asking.Wait()
	if r := f.do("GET", "/api/v1/services/monitoring/x/explain", ""); r.StatusCode != 200 {
		t.Error(r)
	}
}
