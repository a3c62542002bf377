// Package verify answers one question about a Deployment: does a rolling update lose
// requests, and if so, which, when and why?
//
// [Run] applies the manifests and waits until the Deployment is ready (prepare.go). It
// starts a load generator in a pod of the cluster, waits until that reaches every pod
// of the Service (route.go), and records what observe sees. Then it runs the steps of
// the scenario under load, and package verdict judges the record.
package verify

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/via"
)

// Options say what to verify, and how.
type Options struct {
	Command []string // for the report
	Version string   // of the harness

	// Manifests are the files and folders of the target. Around are those of what else
	// the cluster should have; if an object is in both, the target's is used.
	Manifests, Around []string
	objects, around   []manifest.Object // their content, once they have been read
	Images            []cluster.Image   // loaded into the cluster first
	// Image replaces the image of the target's container; empty: as in the manifests.
	Image       string
	AgentBinary string // the load generator's program, static
	// AgentImage is an image that the cluster can pull; empty: one is made of
	// AgentBinary.
	AgentImage string

	// Service is the target's, as name or namespace/name; empty: the only one in the
	// manifests. Port is a number or a name; it may be empty if the Service has only
	// one.
	Service, Port string
	Replicas      int // 0: as in the manifest
	// Patch is a strategic merge patch of the target's workload, in YAML; may be empty.
	Patch string

	// Via is the proxy between the load and the target; nil: none. ViaService is its
	// Service among manifests of its own, like Service, and ViaPort its port.
	Via                 *via.Proxy
	ViaService, ViaPort string
	viaObjects          []manifest.Object

	Steps []scenario.Step
	// Requests is how many requests the run has at least: after the steps there are more
	// rolling restarts until then.
	Requests int
	Scenario string // the steps' name, for the report

	Baseline     time.Duration // traffic before the first step
	ReadyTimeout time.Duration // of each wait for the Deployment
	Outage       time.Duration // of the faults
	GraceCap     time.Duration // of spot nodes
	Traffic      Traffic

	// The paths at which terminating pods are probed. Empty: those of the container's
	// own probes; "-": none.
	ReadinessPath, LivenessPath string
	// Problems: every error response must be a problem document.
	Problems bool
	// Milestones are the log lines that each stopping pod must write. Signal is the
	// line by which it says that it received SIGTERM.
	Milestones       []string
	Signal           string
	MaxLatencyFactor float64
	// Strict makes failures of what are warnings otherwise; see verdict.Rules.
	Strict bool

	// ReadNodes reads the connection tracking of the load's node even in a cluster that
	// others use.
	ReadNodes bool

	// InPlace is a workload of the cluster to verify where it is, instead of one that
	// the Manifests describe; nil: none.
	InPlace *InPlace
	// MaxLost ends the run early when more requests were lost; 0: never. Steps that
	// have not begun are then left out.
	MaxLost int

	// Cleanup deletes what was applied. It is not needed if the cluster is deleted
	// anyway.
	Cleanup bool
	// Notes are sentences for the report, about what was left out.
	Notes []string

	Say  func(format string, args ...any) // reports progress, a line a call; may be nil
	Live func(Live)                       // called four times a second; may be nil
}

// Live is the state of a run in progress.
type Live struct {
	Elapsed    time.Duration // since the load began
	Phase      string
	Sent, Lost int
	Pods       string // "3 ready, 1 terminating"
}

// Milestones returns the log lines of DD-007, in order, as this project's service
// writes them.
func Milestones() []string {
	return []string{
		"Received shutdown signal",
		"Initiating DD-007 Kubernetes-aware graceful shutdown",
		"Shutdown flag set - readiness probe now returns 503",
		"Waiting for Kubernetes endpoint removal propagation",
		"Endpoint removal propagation complete",
		"Draining in-flight HTTP connections",
		"HTTP connections drained successfully",
		"Closing external resources",
		"DD-007 Kubernetes-aware graceful shutdown complete",
	}
}

// Validate reports what can't work, before anything is started: a line for each
// problem, which says what to do.
func (o *Options) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(o.Manifests) == 0 && o.InPlace == nil {
		problem("name the manifests of the target")
	}
	if len(o.Steps) == 0 {
		problem("the scenario does nothing: --restarts must be at least 1")
	}
	switch rollouts := slices.ContainsFunc(o.Steps, func(s scenario.Step) bool { return s.Rollout }); {
	case o.Requests < 0 || o.Requests > maxRequests*9/10:
		problem("--requests is %d; it must be between 0 and %d", o.Requests, maxRequests*9/10)
	case o.Requests > 0 && !rollouts:
		problem("--requests means more rolling restarts, and the scenario has none: add rolling-restart to it")
	}
	if o.Replicas < 0 || o.Replicas > 50 {
		problem("%d replicas can't be had here; between 1 and 50 can", o.Replicas)
	}
	if o.Via != nil && o.InPlace != nil {
		problem("a proxy (--via) is put before what manifests describe: of a workload that exists, verify the proxy that it has")
	}
	for _, s := range o.Steps {
		if s.Via && o.Via == nil {
			problem("the scenario %q restarts the proxy, and there is none: name it with --via", s.Name)
		}
	}
	if o.MaxLost < 0 {
		problem("--max-lost is %d; give 0 for no limit, or more", o.MaxLost)
	}
	if o.Baseline < time.Second || o.Baseline > time.Hour {
		problem("the baseline of %s is not between 1s and 1h", o.Baseline)
	}
	if o.ReadyTimeout < 5*time.Second {
		problem("the Deployment needs more time to become ready than %s; give it at least 5s", o.ReadyTimeout)
	}
	if _, err := os.Stat(o.AgentBinary); err != nil && o.AgentImage == "" {
		problem("the program of the load generator is missing (%w); make tools builds it, --agent-binary names it", err)
	}
	for _, image := range o.Images {
		for _, file := range image.Files {
			if _, err := os.Stat(file); err != nil {
				problem("the image %s can't be made: %w", image.Name, err)
			}
		}
	}
	if err := o.Traffic.validate(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// classes returns the client classes that the traffic consists of.
func (t *Traffic) classes() []record.Class {
	classes := []record.Class{record.Pooled, record.Blind, record.New}
	switch t.Protocol.Name {
	case record.WebSocket:
		return []record.Class{record.New, record.Stream}
	case record.HTTP2, record.GRPC:
		classes = []record.Class{record.Pooled, record.New} // who keeps such a connection reads from it
	}
	if t.SlowPath != "" || t.SlowUpload != "" {
		classes = append(classes, record.Slow)
	}
	if t.StreamPath != "" {
		classes = append(classes, record.Stream)
	}
	return classes
}

// splitService splits [namespace/]name.
func splitService(s string) (namespace, name string) {
	if ns, n, ok := strings.Cut(s, "/"); ok {
		return ns, n
	}
	return "", s
}
