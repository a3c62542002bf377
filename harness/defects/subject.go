package defects

import (
	"context"
	_ "embed" // for the manifest
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// The packages of the programs.
const (
	serverPackage   = "kubernaut.io/dynamic-toolset/harness/defects/faulty"
	gatewayPackage  = "kubernaut.io/dynamic-toolset/harness/defects/gateway"
	polyglotPackage = "kubernaut.io/dynamic-toolset/harness/defects/polyglot"
	agentPackage    = "kubernaut.io/dynamic-toolset/harness/cmd/loadagent"
)

// template is the server's manifest, with placeholders that Manifest fills in.
//
//go:embed faulty/deploy.yaml
var template string

// service is the name of the Service in the manifest.
const service = "subject"

// A Subject has the programs of a verification: the servers and the load generator.
type Subject struct {
	Server, Agent string // paths of the programs, statically linked

	gateway  string // path of the proxy
	polyglot string // path of the server that speaks other protocols
	dir      string // for the manifests
}

// Build builds the programs into a folder. It runs the go command, and so must run
// within a checkout of this module.
func Build(ctx context.Context, dir string) (*Subject, error) {
	s := &Subject{Server: filepath.Join(dir, filepath.Base(serverPackage)), Agent: filepath.Join(dir, filepath.Base(agentPackage)), dir: dir,
		polyglot: filepath.Join(dir, filepath.Base(polyglotPackage)), gateway: filepath.Join(dir, filepath.Base(gatewayPackage))}
	// The programs are linked statically, since the images have no libraries.
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), serverPackage, polyglotPackage, gatewayPackage, agentPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said strings.Builder
	build.Stderr = &said
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w; run this in a checkout, with Go in PATH\n%s", strings.Join(build.Args, " "), err, said.String())
	}
	return s, certify(dir)
}

// Image returns the image that the manifest names. It must be loaded into the cluster
// before the server is deployed.
func (s *Subject) Image() cluster.Image {
	return cluster.Image{Name: "subject:devel", Files: map[string]string{"/subject": s.Server}, Entrypoint: []string{"/subject"}}
}

// Gateway returns the image of the proxy with planted defects.
func (s *Subject) Gateway() cluster.Image {
	return cluster.Image{Name: "gateway:devel", Files: map[string]string{"/gateway": s.gateway}, Entrypoint: []string{"/gateway"}}
}

//go:embed gateway/deploy.yaml
var gatewayTemplate string

// GatewayManifest writes the manifest of the proxy before the server, in its namespace, and
// returns its path. defect may be empty.
func (s *Subject) GatewayManifest(namespace, defect string) (string, error) {
	args := []string{"--target=" + service + ":80"}
	if defect != "" {
		args = append(args, "--defect="+defect)
	}
	text, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.dir, namespace+"-gateway.yaml")
	return file, os.WriteFile(file, []byte(strings.NewReplacer("%NAMESPACE%", namespace, "%ARGS%", string(text)).Replace(gatewayTemplate)), 0o600)
}

// A Deployment is what Manifest fills into the server's manifest.
type Deployment struct {
	Namespace string // created and deleted with the server
	Replicas  int    // 0: 2, so that one is always running
	Grace     int    // terminationGracePeriodSeconds; 0: 30
	Args      []string
}

// Deployment returns the Deployment for a case, in a namespace.
func (c *Case) Deployment(namespace string) Deployment {
	return Deployment{Namespace: namespace, Grace: c.Grace, Args: c.args()}
}

// Manifest writes the manifest of a Deployment, and returns its path. Each namespace
// has its own file.
func (s *Subject) Manifest(d Deployment) (string, error) {
	if wrong := validation.IsDNS1123Label(d.Namespace); len(wrong) > 0 {
		return "", fmt.Errorf("%q can't be the name of a namespace: %s", d.Namespace, strings.Join(wrong, "; "))
	}
	if d.Replicas == 0 {
		d.Replicas = 2
	}
	if d.Grace == 0 {
		d.Grace = ampleGrace
	}
	args, err := json.Marshal(append([]string{}, d.Args...)) // a list even if it is empty
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer(
		"%NAMESPACE%", d.Namespace, "%REPLICAS%", strconv.Itoa(d.Replicas), "%GRACE%", strconv.Itoa(d.Grace), "%ARGS%", string(args),
	).Replace(template)
	file := filepath.Join(s.dir, d.Namespace+".yaml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// Options returns options that verify a Deployment by one rolling restart. The load
// reaches every pod with clients of every class. Callers may change them.
func (s *Subject) Options(d Deployment) (verify.Options, error) {
	file, err := s.Manifest(d)
	if err != nil {
		return verify.Options{}, err
	}
	// A Service chooses pods at random: the chance that one of two pods gets none of
	// twelve streams is one in two thousand.
	const rolling, streams = "rolling-restart", 12
	steps, err := scenario.Parse(rolling, 1)
	if err != nil {
		return verify.Options{}, err
	}
	return verify.Options{
		Manifests: []string{file}, Service: service, AgentBinary: s.Agent, Steps: steps, Scenario: rolling,
		Baseline: 2 * time.Second, ReadyTimeout: 3 * time.Minute, Cleanup: true,
		Traffic: verify.Traffic{
			Rate: 250, Paths: []string{"/", "/api/v1/toolsets"}, ErrorPaths: []string{"/no-such-path"}, ExpectJSON: true,
			SlowPath: "/slow?for={duration}", SlowFor: 8 * time.Second, StreamPath: "/events", Streams: streams, Goodbye: "goodbye", PodHeader: "X-Served-By",
		},
		Problems: true, Milestones: verify.Milestones(), Signal: verify.Milestones()[0], Strict: true,
	}, nil
}
