package verify_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/harness/via"
	"kubernaut.io/dynamic-toolset/harness/zoo"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// debian has the proxies of Debian that are loaded into the shared cluster.
var debian struct {
	mu     sync.Mutex
	loaded map[string]bool
}

// aProxy returns a proxy by its kind or its configuration, with its program loaded.
func aProxy(t *testing.T, c cluster.Cluster, value string) *via.Proxy {
	t.Helper()
	p, err := via.Open(value, 0)
	if err != nil {
		t.Fatal(err)
	}
	debian.mu.Lock()
	defer debian.mu.Unlock()
	if p.Kind == "" || debian.loaded[p.Kind] {
		return p
	}
	server, ok := zoo.Named(p.Kind)
	if !ok {
		t.Fatalf("no server %s", p.Kind)
	}
	program, err := zoo.Get(t.Context(), server, os.Stderr)
	if errors.Is(err, zoo.ErrUnavailable) {
		testenv.Missing(t, "Debian's "+p.Kind+" ("+err.Error()+")", "The sentence says how to get it.")
	}
	if err != nil {
		t.Fatal(err)
	}
	name, stop := p.Image()
	if err := c.LoadImage(t.Context(), cluster.Image{Name: name, Root: program.Root, StopSignal: stop}); err != nil {
		t.Fatal(err)
	}
	if debian.loaded == nil {
		debian.loaded = map[string]bool{}
	}
	debian.loaded[p.Kind] = true
	return p
}

// viaRun verifies the faulty server behind a proxy.
func viaRun(t *testing.T, c cluster.Cluster, p *via.Proxy, steps, namespace string, change func(*verify.Options), args ...string) (*record.Run, error) {
	t.Helper()
	o := subject(t, defects.Deployment{Namespace: namespace, Args: args})
	o.Via, o.Scenario = p, steps
	var err error
	if o.Steps, err = scenario.Parse(steps, 1); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	return verify.Run(t.Context(), c, o)
}

// Behind nginx and HAProxy as they should be, a right server loses nothing.
func TestRightServerBehindProxies(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, kind := range via.Names() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			run := defectstest.Verify(t, defects.Right(), func(try int) (*record.Run, error) {
				return viaRun(t, c, aProxy(t, c, kind), "rolling-restart", fmt.Sprintf("via-%s-%d", kind, try), nil)
			})
			if run.Via == nil || len(run.Via.Pods) != 2 {
				t.Fatalf("the proxy is not recorded: %+v", run.Via)
			}
		})
	}
}

// What is lost through a proxy is said to be lost where it was, and why.
func TestSidesOfAProxy(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for _, x := range []struct {
		name, via string // of a kind, or a defect of the gateway
		server    string // defect of the server
		steps     string
		want      record.Side
		only      bool // nothing is lost elsewhere
		cause     string
	}{
		// The pod's fault, which no proxy can hide.
		{name: "pod-cuts", via: "nginx", server: "abandons-in-flight", steps: "rolling-restart", want: record.AtPod, only: true, cause: cause.RequestsCut},
		{name: "pod-exits", via: "haproxy", server: "exits-at-once", steps: "rolling-restart", want: record.AtPod, only: true, cause: cause.EndsAtOnce},
		// The proxy's.
		{name: "proxy-exits", via: "exits-at-once", steps: "proxy-restart", want: record.AtProxy, only: true, cause: cause.NoHandler},
		{name: "proxy-does-not-look", via: "sends-on-closed", server: "closes-idle-connections", steps: "rolling-restart", want: record.AtProxy, cause: cause.ClosedUpstream},
		{name: "proxy-is-stale", via: "stale", steps: "rolling-restart", want: record.AtProxy, only: true, cause: cause.StaleUpstream},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var args []string
			if x.server != "" {
				args = append(args, "--defect="+x.server)
			}
			try := 0
			err := testenv.Measure(t, "on which side requests were lost", func() (excused bool, err error) {
				try++
				namespace := fmt.Sprintf("%s-%d", x.name, try)
				run, err := viaRun(t, c, proxyOf(t, c, x.via, namespace), x.steps, namespace, func(o *verify.Options) {
					if x.via == "stale" {
						o.Manifests = append(o.Manifests, headless(t, namespace))
						o.Traffic.StreamPath = "" // until the end of the run all is lost
						// A stale proxy sends requests to the last, some of which the pod then cuts.
						o.Traffic.SlowPath, o.Traffic.SlowUpload = "", ""
					}
				}, args...)
				if err != nil {
					return true, err
				}
				untracked := slices.ContainsFunc(run.Notes, func(n string) bool { return strings.Contains(n, "connection tracking was not read") })
				return untracked || slices.Contains(defects.Failed(run), verdict.LoadID), judgeSides(t, run, x.want, x.only, x.cause)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// judgeSides says what is wrong with the sides and the causes of what a run lost.
func judgeSides(t *testing.T, run *record.Run, want record.Side, only bool, id string) error {
	t.Helper()
	for _, note := range run.Notes {
		t.Log(note)
	}
	lost := map[record.Side]int{}
	var errs []error
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Failed() {
			continue
		}
		if lost[r.Side]++; lost[r.Side] <= 5 {
			t.Logf("%s %s %s %d at %s: %s (%s) %s", r.Class, r.Method, r.Outcome, r.Status, r.Side, r.SideBy, r.Hop, r.Detail)
		}
	}
	t.Logf("lost: %v", lost)
	if lost[want] == 0 || only && len(lost) > 1 {
		errs = append(errs, fmt.Errorf("lost by side: %v; want %s (only: %v)", lost, want, only))
	}
	found := slices.ContainsFunc(run.Causes, func(c record.Cause) bool {
		return c.ID == id && (c.Side == record.AtProxy) == (want == record.AtProxy) && c.Lost > 0
	})
	if !found {
		errs = append(errs, fmt.Errorf("the cause %s is not among %+v", id, run.Causes))
	}
	return errors.Join(errs...)
}

func proxyOf(t *testing.T, c cluster.Cluster, name, namespace string) *via.Proxy {
	t.Helper()
	switch name {
	case "nginx", "haproxy":
		return aProxy(t, c, name)
	case "stale":
		// A configuration of the user's, which names the pods, and not the Service.
		file := filepath.Join(t.TempDir(), "default.conf")
		config := `upstream pods { server pods-of-subject:8080; keepalive 8; }
server {
    listen 8000;
    location / { proxy_pass http://pods; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_connect_timeout 1s; proxy_set_header Host $http_host; }
}
`
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		return aProxy(t, c, file)
	}
	file, err := shared.subject.GatewayManifest(namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return aProxy(t, c, file)
}

func headless(t *testing.T, namespace string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pods.yaml")
	text := "apiVersion: v1\nkind: Service\nmetadata: {name: pods-of-subject, namespace: " + namespace + "}\n" +
		"spec: {clusterIP: None, selector: {app: subject}, ports: [{name: http, port: 8080}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
