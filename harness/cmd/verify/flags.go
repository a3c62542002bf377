package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const intro = `Usage: verify [flags]
       verify deployment/NAME -n NAMESPACE --agent-image IMAGE [flags]

Does a rolling update of a Deployment lose requests? If so: which, when and why?

Without flags it verifies the Dynamic Toolset Service: it starts a simulated
cluster (real Kubernetes processes; no Docker, root or network needed), deploys
the manifests of deploy/base with the program bin/dynamic-toolset, sends traffic
of five client classes, restarts the Deployment three times under that load, and
judges. No request is sent a second time: each one that is lost counts.

Clusters (--cluster):
  sim         a simulated one, for this run only
  kind        one of kind, for this run only; needs Docker, and pulls kind's node
              image unless --node-image names one that Docker has
  kubeconfig  an existing one, which others may use: everything goes into a new
              namespace, which is deleted at the end; asks before it starts. The
              cluster pulls the images: name them with --image and --agent-image.

Client classes:
  pooled   kept connections; looks before it sends whether the server has closed,
           as the clients of Go, undici, nginx, HAProxy and Envoy do
  blind    kept connections; does not look
  new      a connection for each request
  slow     requests that take seconds, in flight when a pod is told to stop
  stream   server-sent event streams

Scenarios (--scenario, several separated by commas):
`

const outro = `
Any other Deployment:
  verify --manifest app.yaml --image-binary ./app --target my-app:80 --path /
  verify --manifest app.yaml --image-binary ./app --target my-app:80 --path / \
    --error-path /nope --slow-path '/slow?for={duration}' --stream-path /events
The manifest must have a Service and the Deployment behind it. The image of its
container is made of the program, which must be static (CGO_ENABLED=0 for Go).
Give more files with --image-file /etc/app.conf=./app.conf.

The report begins with the causes of what was lost, and with what to change in
the server and in the manifest. To see what the latter is worth:
  verify --manifest app.yaml --image-binary ./app --target my-app:80 --path / --prove-fix

Other requests and protocols (each with --manifest and --target as above):
  verify ... --path /orders --method POST --body '{"n":1}' \
    --header 'Content-Type: application/json' --expect-status 201,409
  verify ... --tls --ca-file ca.pem --server-name my-app.example --path /
  verify ... --protocol h2 --path /                      (h2c)
  verify ... --protocol h2 --insecure --path /           (TLS)
  verify ... --protocol grpc                             (grpc.health.v1, Check)
  verify ... --protocol grpc --path /shop.Orders/Get --body '{"id":"1"}' \
    --slow-path /shop.Orders/Report --slow-body '{"wait":"{duration}"}'
  verify ... --protocol websocket --path /ws --body hello
Of HTTP/2 and gRPC a request counts as lost unless the server said that it did not
process it (GOAWAY, REFUSED_STREAM); then it is sent again on a new connection. A
held WebSocket connection may be closed with 1001 or 1012.

With a proxy before it, as an ingress is (the report says what was lost at the proxy
and what at the pod):
  verify ... --via nginx                        (or haproxy; both keep connections)
  verify ... --via ./haproxy.cfg                (or an nginx.conf, or a file for conf.d)
  verify ... --via ingress.yaml --image my-proxy:1=proxy.tar --via-target my-proxy:80
  verify ... --via nginx --scenario rolling-restart,proxy-restart
Its configuration sends to the target by the name of its Service. On the simulated
cluster nginx and HAProxy are Debian's, downloaded once, unless --image says otherwise.

On kind and in an existing cluster:
  verify --cluster kind --image my-app:1.2 --manifest app.yaml --target my-app:80 --path /
  verify --cluster kubeconfig --context staging --agent-image registry.example/loadagent:1.2 \
    --image registry.example/my-app:1.2 --manifest app.yaml --target my-app:80 --path /

Images, in the simulated cluster and on kind (NAME as in the manifest; with init
containers and sidecars, each has one):
  docker save -o app.tar my-app:1.2
  verify --manifest app.yaml --image my-app:1.2=app.tar --image my-proxy:1=./rootfs --target my-app

Charts, and what runs in a cluster (what the server has set is removed):
  helm template my-app ./chart | verify --manifest - --image my-app:1.2=app.tar
  kubectl get deployment,service,configmap my-app -o yaml | verify --manifest - --image my-app:1.2=app.tar

Where it is: a Deployment, StatefulSet or DaemonSet of an existing cluster is rolled
out once under load, as kubectl rollout restart does, and nothing else is done to it:
  verify deployment/my-app -n shop --context staging --agent-image registry.example/loadagent:1.2 --max-lost 20
  verify deployment/my-app -n shop --print-rbac | kubectl apply -f -
The load generator's pod has a namespace of its own, which is deleted at the end. When
more requests than --max-lost are lost, the load ends, and the rollout that has begun
is left to the cluster. If others change the workload meanwhile, there is no verdict.

A simulated cluster needs its source: run the command inside a checkout, or set
TOOLSET_SIM_BINARY to the result of "go run ./harness/sim/cmd/simcluster build".
If pods do not log when they receive SIGTERM, times are counted from the kubelet's
event Killing. With the text of that log line in --signal-line, they are exact.

Exit codes:
  0   passed, perhaps with warnings (see --strict)
  1   failed: requests were lost by any client, a pod did not stop as it should, or the load was
      not as it should be (checks load and coverage), so that the run proves nothing
  2   no verdict: a mistake in the flags, a target that does not become ready, a machine
      that can't run the cluster, or an interrupt, which shows what was measured so far

Reports, in --reports: report.html (open it in a browser), report.json,
junit.xml, timeline.svg, requests.ndjson.gz (every request).
`

// flags are the flags of the command.
type flags struct {
	set *pflag.FlagSet

	clusterFlags
	imageFlags
	inPlaceFlags
	protocolFlags
	viaFlags
	reports string
	verbose bool
	version bool

	manifests, around []string
	agent             string
	scenario          string
	restarts          int
	proveFix          bool

	o verify.Options
}

func newFlags() *flags {
	f := &flags{set: pflag.NewFlagSet("verify", pflag.ContinueOnError)}
	s, o := f.set, &f.o
	s.SortFlags = false
	f.clusterFlags.add(s)
	s.StringArrayVar(&f.manifests, "manifest", nil, "manifest `FILE` or folder (also one with a kustomization) of the target, - for the standard input (helm template ... | verify --manifest -); may be repeated (default deploy/base)")
	f.imageFlags.add(s)
	f.inPlaceFlags.add(s, o)
	s.StringVar(&o.Service, "target", "", "`SERVICE:PORT` to send the traffic to, or NAMESPACE/SERVICE:PORT; the port may be left out if there is only one (default the manifests' only Service)")
	s.StringArrayVar(&f.around, "around", nil, "manifest `FILE` or folder of what else the cluster should have; may be repeated")

	f.viaFlags.add(s)

	s.StringVar(&f.scenario, "scenario", "rolling-restart", "`LIST` of what to do under load; see above")
	s.IntVar(&f.restarts, "restarts", 3, "`NUMBER` of rolling restarts")
	s.IntVar(&o.Requests, "requests", 0, "`NUMBER` of requests that the run has at least: it goes on with rolling restarts until then")
	s.IntVar(&o.Replicas, "replicas", 0, "`NUMBER` of replicas; 0: as the manifest says")
	s.DurationVar(&o.Baseline, "baseline", 5*time.Second, "`DURATION` of traffic before the scenario")
	s.DurationVar(&o.ReadyTimeout, "ready-timeout", 2*time.Minute, "`DURATION` in which the Deployment must become ready, each time; after an outage of the API server, kubelets need up to a minute to notice its end")
	s.DurationVar(&o.Outage, "outage", time.Minute, "`DURATION` of api-outage and kubelet-kill")

	s.DurationVar(&o.GraceCap, "grace-cap", 15*time.Second, "the longest grace period that a spot node gives (`DURATION`, spot-node)")

	t := &o.Traffic
	s.Float64Var(&t.Rate, "rate", 500, "requests per second, of all clients together (`NUMBER`)")
	s.StringArrayVar(&t.Paths, "path", nil, "`PATH` to request; may be repeated")
	s.StringArrayVar(&t.ErrorPaths, "error-path", nil, "`PATH` that must answer 404; with --problem-json, by a problem document")
	s.StringVar(&t.MCPPath, "mcp-path", "", "`PATH` for messages of the Model Context Protocol, where clients call --mcp-tool")
	s.StringVar(&t.MCPTool, "mcp-tool", "", "`NAME` of the tool that clients call, without arguments")
	s.StringVar(&t.SlowPath, "slow-path", "", "`PATH` whose response takes as long as {duration} in it says")
	s.StringVar(&t.SlowUpload, "slow-upload", "", "`PATH` to which slow clients POST a JSON body piece by piece, instead of --slow-path")
	s.DurationVar(&t.SlowFor, "slow-for", 8*time.Second, "`DURATION` of the longest slow request; should be more than the target waits after SIGTERM, so that some are in flight then")
	s.StringVar(&t.StreamPath, "stream-path", "", "`PATH` of server-sent events")
	s.StringVar(&t.Goodbye, "goodbye-event", "", "`NAME` of the event that each stream must have before the server ends it; empty: a stream may end without, if its response is complete")
	s.BoolVar(&o.ReadNodes, "read-nodes", false, "in an existing cluster, too, read the connection tracking of the load's node, to know which pod has lost a request; it takes a pod with hostNetwork and NET_ADMIN (kubeconfig)")
	s.IntVar(&t.Streams, "streams", 12, "`NUMBER` of streams held open")
	s.StringVar(&t.PodHeader, "pod-header", "X-Served-By", "response `HEADER` that names the pod")
	s.StringVar(&t.Host, "host", "", "Host `HEADER`; empty: the Service's DNS name")
	f.addProtocol()

	s.StringVar(&o.ReadinessPath, "readiness-path", "", "`PATH` to probe terminating pods at; empty: that of the readinessProbe, -: none")
	s.StringVar(&o.LivenessPath, "liveness-path", "", "`PATH` to probe terminating pods at; empty: that of the livenessProbe, -: none")
	s.BoolVar(&o.Problems, "problem-json", false, "every error response must be a problem document (RFC 9457)")
	s.StringArrayVar(&o.Milestones, "log-line", nil, "`TEXT` that each pod must log while it stops; may be repeated, for lines in this order")
	s.StringVar(&o.Signal, "signal-line", "", "`TEXT` that a pod logs when it receives SIGTERM, from which times are counted")
	s.BoolVar(&f.proveFix, "prove-fix", false, "if the report asks for a change of the manifest, make it, verify again, and show both runs; what is to be changed in the server is not")
	s.BoolVar(&o.Strict, "strict", false, "make failures of warnings: what only clients lose that don't look before they send, readiness that does not fail after SIGTERM, liveness that does, exit codes other than 0 (default for our own service)")
	s.Float64Var(&o.MaxLatencyFactor, "max-latency-factor", 0, "fail if p99 is more than `NUMBER` times that of the baseline; 0: only report it")

	s.BoolVar(&f.version, "version", false, "print the version and exit")
	s.StringVar(&f.reports, "reports", "reports", "`FOLDER` for the reports")
	s.StringVar(&f.agent, "agent-binary", "", "the load generator's `PROGRAM` (default loadagent beside this program)")
	s.StringVar(&f.cluster.LogDir, "cluster-logs", "", "existing `FOLDER` in which to keep the logs of the cluster's processes")
	s.BoolVarP(&f.verbose, "verbose", "v", false, "show what the Kubernetes client logs, and, if there is no verdict, the last log lines of the cluster's processes")
	return f
}

func (f *flags) parse(args []string, stdout io.Writer) error {
	f.set.SetOutput(io.Discard)
	f.set.Usage = func() {
		names, what := scenario.Names()
		var b strings.Builder
		b.WriteString(intro)
		for i := range names {
			fmt.Fprintf(&b, "  %-16s %s\n", names[i], what[i])
		}
		b.WriteString("\nFlags:\n" + f.set.FlagUsagesWrapped(90) + outro)
		_, _ = io.WriteString(stdout, b.String())
	}
	if err := f.set.Parse(args); err != nil {
		return err
	}
	return f.takeArguments()
}

// options returns the options that the flags mean.
func (f *flags) options(stdin io.Reader) (*verify.Options, error) {
	o := &f.o
	if err := f.clusterFlags.check(f.set); err != nil {
		return nil, err
	}
	if f.restarts < 1 || f.restarts > 1000 {
		return nil, fmt.Errorf("--restarts is %d; it must be between 1 and 1000", f.restarts)
	}
	if o.GraceCap < time.Second || o.GraceCap > time.Hour {
		return nil, fmt.Errorf("--grace-cap is %s; it must be between 1s and 1h", o.GraceCap)
	}
	if o.InPlace != nil {
		if err := f.verifyInPlace(); err != nil {
			return nil, err
		}
	} else if len(f.manifests) == 0 {
		f.verifyOurselves()
	}
	if f.agent == "" {
		f.agent = besideUs("loadagent")
	}
	o.Manifests, o.Around, o.AgentBinary, o.AgentImage = f.manifests, f.around, f.agent, f.choice.AgentImage
	if name, port, ok := strings.Cut(o.Service, ":"); ok {
		o.Service, o.Port = name, port
	}
	if err := f.takeProtocol(); err != nil {
		return nil, err
	}
	if err := f.takeVia(o); err != nil {
		return nil, err
	}
	if len(o.Traffic.Paths) == 0 {
		o.Traffic.Paths = []string{"/"}
	}
	if o.Traffic.SlowBody == "" {
		o.Traffic.SlowBody = slowBody
	}
	var err error
	if o.Steps, err = scenario.Parse(f.scenario, f.restarts); err != nil {
		return nil, err
	}
	o.Scenario = f.scenario
	if o.InPlace != nil {
		return o, nil
	}
	if slices.Contains(f.manifests, manifest.Stdin) && f.cluster.Name == driver.Kubeconfig && !f.yes {
		return nil, errors.New("the manifests come from the standard input, so there is nowhere to ask whether the cluster may be used: say --yes if that is meant")
	}
	if err := o.Read(stdin, f.cluster.Name == driver.Kubeconfig); err != nil {
		return nil, err
	}
	return o, f.makeImages()
}

// besideUs returns the path of a program that is built with this one.
func besideUs(name string) string {
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); isFile(path) {
			return path
		}
	}
	return filepath.Join("bin", name)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// slowBody is a valid toolset document, long enough to be sent in many pieces.
var slowBody = `{"tools":[` + strings.Repeat(`{"name":"prometheus","type":"prometheus","endpoint":"http://prometheus.monitoring.svc:9090","description":"metrics","namespace":"monitoring"},`, 10) +
	`{"name":"grafana","type":"grafana","endpoint":"http://grafana.monitoring.svc:3000","description":"dashboards","namespace":"monitoring"}]}`

// verifyOurselves sets flags that the user did not set to what fits this project's
// service.
func (f *flags) verifyOurselves() {
	o, t := &f.o, &f.o.Traffic
	f.manifests = []string{"deploy/base"}
	if f.cluster.Name == driver.Kubeconfig {
		f.manifests = []string{"deploy/overlays/namespaced"}
	}
	unless := func(flag string, set func()) {
		if !f.set.Changed(flag) {
			set()
		}
	}
	unless("around", func() { f.around = []string{"examples/cluster"} })
	if f.cluster.Name != driver.Kubeconfig && len(f.images) == 0 {
		unless("image-binary", func() { f.binary = "bin/dynamic-toolset" })
	}
	unless("target", func() { o.Service = "dynamic-toolset:8080" })
	unless("path", func() {
		t.Paths = []string{"/api/v1/toolsets", "/api/v1/toolsets?type=prometheus&enabled=true", "/api/v1/toolsets/grafana", "/api/v1/services", "/api/v1/toolset"}
		t.ExpectJSON = true
	})
	unless("error-path", func() { t.ErrorPaths = []string{"/api/v1/toolsets/no-such-toolset", "/nothing-here"} })
	if !f.set.Changed("mcp-tool") {
		unless("mcp-path", func() { t.MCPPath, t.MCPTool = "/mcp", "list_backends" })
	}
	if t.SlowPath == "" {
		unless("slow-upload", func() { t.SlowUpload = "/api/v1/toolsets/validate" })
	}
	unless("stream-path", func() { t.StreamPath = "/api/v1/toolsets/watch" })
	unless("goodbye-event", func() { t.Goodbye = "goodbye" })
	unless("strict", func() { o.Strict = true })
	unless("problem-json", func() { o.Problems = true })
	unless("log-line", func() { o.Milestones = verify.Milestones() })
	unless("signal-line", func() { o.Signal = verify.Milestones()[0] })
}

// takeImage checks the flags for an image that exists, and describes it.
func (f *flags) takeImage() error {
	switch {
	case f.binary != "" || len(f.files) > 0:
		if f.cluster.Name == driver.Kubeconfig {
			return errors.New("an existing cluster pulls its images: push one to a registry of yours, and give --image instead of --image-binary and --image-file")
		}
		return errors.New("give either --image or --image-binary (with --image-file), not both")
	case f.cluster.Name == driver.Kind && isLatest(f.o.Image):
		return fmt.Errorf("the nodes would pull %s, as its tag is latest; give it another: docker tag %s NAME:devel", f.o.Image, f.o.Image)
	case f.cluster.Name == driver.Kind:
		f.o.Images = append(f.o.Images, cluster.Image{Name: f.o.Image})
	case f.o.Image == "" && slices.Contains(f.manifests, "deploy/overlays/namespaced"):
		return errors.New("name the service's image, pushed to a registry of yours, with --image (make image makes it)")
	}
	return nil
}

// isLatest reports whether an image is always pulled, unless the manifest says
// otherwise
// (https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting).
func isLatest(image string) bool {
	if strings.Contains(image, "@") {
		return false
	}
	_, tag, found := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return !found || tag == "latest"
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
