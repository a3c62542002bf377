package verify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
)

const app = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: api}, {name: metrics, port: 9090}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: external, namespace: shop}
spec: {type: ExternalName, externalName: x.example}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      containers:
      - {name: sidecar, image: "sidecar:1", ports: [{containerPort: 1}]}
      - name: web
        image: web:1
        ports: [{name: api, containerPort: 8080}, {name: probes, containerPort: 8081}]
        readinessProbe: {httpGet: {path: ready, port: probes}}
        livenessProbe: {tcpSocket: {port: api}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other, namespace: elsewhere}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "other:1"}]}}
`

func parse(t *testing.T, text string) []manifest.Object {
	t.Helper()
	objects, err := manifest.Parse([]byte(text), "app.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestFindTarget(t *testing.T) {
	target, err := findTarget(parse(t, app), &Options{Service: "shop/web", Port: "80"})
	if err != nil {
		t.Fatal(err)
	}
	if target.workload.name != "web" || target.container.Image != "web:1" || target.podPort() != 8080 {
		t.Errorf("%s, %s, port %d", target.workload.name, target.container.Image, target.podPort())
	}
	for _, c := range []struct {
		path string
		own  bool
		want string
		port int
	}{{"", true, "/ready", 8081}, {"/mine", true, "/mine", 8080}, {"-", true, "", 0}, {"", false, "", 0}} {
		own := target.container.LivenessProbe // not over HTTP
		if c.own {
			own = target.container.ReadinessProbe
		}
		if path, port := target.probe(c.path, own); path != c.want || port != c.port {
			t.Errorf("%q: %q at %d", c.path, path, port)
		}
	}
}

func TestFindTargetRefuses(t *testing.T) {
	for _, c := range []struct{ service, port, want string }{
		{"none", "80", "no Service none; they have: web, nobody, external"},
		{"elsewhere/web", "80", "no Service elsewhere/web"},
		{"", "80", "name the Service to send the traffic to with --target; the manifests have: web, nobody, external"},
		{"web", "", "name a port of the Service web: it has 80, 9090"},
		{"web", "81", "it has 80, 9090"},
		{"nobody", "80", "no Deployment, StatefulSet or DaemonSet in the manifests has pods"},
		{"external", "80", "selects no pods"},
	} {
		if _, err := findTarget(parse(t, app), &Options{Service: c.service, Port: c.port}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:%s: %v, not %q", c.service, c.port, err, c.want)
		}
	}
	twice := strings.ReplaceAll(app, "namespace: elsewhere", "namespace: shop")
	if _, err := findTarget(parse(t, twice), &Options{Service: "web", Port: "http"}); err == nil || !strings.Contains(err.Error(), "two workloads, Deployment web and Deployment other") {
		t.Errorf("%v", err)
	}
}

// All mistakes are reported at once, before anything is started.
func TestValidate(t *testing.T) {
	o := Options{AgentBinary: "/none/agent", Images: []cluster.Image{{Name: "web:1", Files: map[string]string{"/web": "/none/web"}}}, Baseline: time.Hour * 2, Traffic: Traffic{
		Rate: 1, SlowPath: "/slow", SlowUpload: "/upload", StreamPath: "events", MCPPath: "mcp",
	}}
	err := o.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"name the manifests", "--restarts", "baseline", "at least 5s", "load generator is missing", "the image web:1", "a rate of 1",
		"at least one path", "not both", "{duration}", `"events" must begin with /`, `"mcp" must begin with /`, "the tool that they call",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps, _ := scenario.Parse("scale", 1)
	o = Options{
		AgentBinary: file, Manifests: []string{file}, Service: "web", Steps: steps, Baseline: time.Second, ReadyTimeout: time.Minute,
		Traffic: Traffic{Rate: 100, Paths: []string{"/"}},
	}
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}

// The rates of the classes add up, and the load generator accepts the configuration.
func TestTrafficConfig(t *testing.T) {
	for _, traffic := range []Traffic{
		{Rate: 500, Paths: []string{"/a", "/b"}, ErrorPaths: []string{"/no"}, SlowUpload: "/up", SlowBody: "{}", SlowFor: 8 * time.Second, StreamPath: "/events", Streams: 3, ExpectJSON: true, MCPPath: "/mcp", MCPTool: "list_backends"},
		{Rate: 10, Paths: []string{"/"}, SlowPath: "/slow?for={duration}", SlowFor: 2 * time.Second},
		{Rate: 5000, Paths: []string{"/"}},
	} {
		c := traffic.config("10.96.0.1:80", "web.n.svc", true)
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", traffic, err)
		}
		sum := 0.0
		var classes []record.Class
		for _, client := range c.Clients {
			sum += client.Rate
			classes = append(classes, client.Class)
		}
		if sum < traffic.Rate-0.01 || sum > traffic.Rate+0.01 || len(classes) != len(traffic.classes()) {
			t.Errorf("rate %g in classes %v", sum, classes)
		}
		calls := 0
		for _, target := range c.Targets {
			if target.Path == traffic.MCPPath {
				calls++
				if !json.Valid([]byte(target.Body)) || target.Method != "POST" || target.ExpectStatus != 200 || !target.ExpectJSON || target.Header["Content-Type"] != "application/json" {
					t.Errorf("%+v", target)
				}
			}
			if target.ExpectProblem != (target.ExpectStatus == 404) {
				t.Errorf("%+v", target)
			}
		}
		if want := map[bool]int{true: 2, false: 0}[traffic.MCPPath != ""]; calls != want {
			t.Errorf("%d targets are calls of tools, want %d", calls, want)
		}
	}
}
