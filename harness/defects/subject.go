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
	serverPackage = "kubernaut.io/dynamic-toolset/harness/defects/faulty"
	agentPackage  = "kubernaut.io/dynamic-toolset/harness/cmd/loadagent"
)

// template is the server's manifest, with what [Deployment] fills in.
//
//go:embed faulty/deploy.yaml
var template string

// service is the name of the Service in it.
const service = "subject"

// A Subject is the server, built, with the load generator for it.
type Subject struct {
	Server, Agent string // the programs, static

	dir string // for the manifests
}

// Build builds the server and the load generator into a folder. It runs the go
// command, and so must run somewhere in a checkout of this module.
func Build(ctx context.Context, dir string) (*Subject, error) {
	s := &Subject{Server: filepath.Join(dir, filepath.Base(serverPackage)), Agent: filepath.Join(dir, filepath.Base(agentPackage)), dir: dir}
	// The images have no libraries.
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), serverPackage, agentPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said strings.Builder
	build.Stderr = &said
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w; run this in a checkout, with Go in PATH\n%s", strings.Join(build.Args, " "), err, said.String())
	}
	return s, nil
}

// Image is the one that the manifest names. It must be in the cluster before the
// server is run.
func (s *Subject) Image() cluster.Image {
	return cluster.Image{Name: "subject:devel", Files: map[string]string{"/subject": s.Server}, Entrypoint: []string{"/subject"}}
}

// A Deployment of the server is what can be filled in into its manifest.
type Deployment struct {
	Namespace string // created and deleted with it
	Replicas  int    // 0: 2, so that one is always there
	Grace     int    // terminationGracePeriodSeconds; 0: 30
	Args      []string
}

// Deployment is that of a case, in a namespace.
func (c *Case) Deployment(namespace string) Deployment {
	return Deployment{Namespace: namespace, Grace: c.Grace, Args: c.args()}
}

// Manifest writes the manifest of a deployment, and returns its path. Each
// namespace has a file of its own.
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
	args, err := json.Marshal(append([]string{}, d.Args...)) // a list, even an empty one
	if err != nil {
		return "", err
	}
	text := strings.NewReplacer(
		"%NAMESPACE%", d.Namespace, "%REPLICAS%", strconv.Itoa(d.Replicas), "%GRACE%", strconv.Itoa(d.Grace), "%ARGS%", string(args),
	).Replace(template)
	file := filepath.Join(s.dir, d.Namespace+".yaml")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// Options verify a deployment of the server by one rolling restart, under a load
// that meets every pod with clients of every class. Callers change what they
// want otherwise.
func (s *Subject) Options(d Deployment) (verify.Options, error) {
	file, err := s.Manifest(d)
	if err != nil {
		return verify.Options{}, err
	}
	// A Service spreads connections by chance: of twelve streams, one of two pods
	// gets none once in two thousand times.
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
			SlowPath: "/slow?for={duration}", SlowFor: 8 * time.Second, StreamPath: "/events", Streams: streams, PodHeader: "X-Served-By",
		},
		Problems: true, Milestones: verify.Milestones(), Signal: verify.Milestones()[0],
	}, nil
}
