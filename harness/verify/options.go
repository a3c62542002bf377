// Package verify answers one question about a Deployment: does a rolling update
// lose requests, and if so, which, when and why?
//
// It applies the manifests, waits until the Deployment is ready, puts a load
// generator into a pod of the cluster, watches, does what the scenario says with
// the traffic on, and lets package verdict judge what was recorded.
package verify

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
)

// Options say what to verify and how.
type Options struct {
	Command []string // for the report
	Version string   // of the harness

	// Manifests are the files and folders of the target, Around those of what
	// should be in the cluster besides; an object of both is the target's.
	Manifests, Around []string
	Images            []cluster.Image // to load before
	// Image is set as that of the target's container; empty: as the manifests say.
	Image       string
	AgentBinary string // the load generator's program, static
	// AgentImage is one that the cluster can pull, instead of one made of
	// AgentBinary.
	AgentImage string

	// Service is the target's, as name or namespace/name, empty for the only one of
	// the manifests; Port is one of its
	// ports, by number or name, empty where it has only one.
	Service, Port string
	Replicas      int // 0: as the manifest has it

	Steps    []scenario.Step
	Scenario string // the steps' name, for the report

	Baseline     time.Duration // how long traffic goes on before anything is done
	ReadyTimeout time.Duration // of each wait for the Deployment
	Outage       time.Duration // of the faults
	Traffic      Traffic

	// The paths to probe terminating pods at; empty: those of the container's own
	// probes, "-": none.
	ReadinessPath, LivenessPath string
	// Problems: every error must be a problem document.
	Problems bool
	// Milestones are the log lines that each pod must write while it stops, Signal
	// that by which it says that it received SIGTERM.
	Milestones       []string
	Signal           string
	MaxLatencyFactor float64

	// Cleanup deletes what was applied; not needed where the cluster ends anyway.
	Cleanup bool

	Say  func(format string, args ...any) // a line of progress; nil: none
	Live func(Live)                       // called four times a second; nil: none
}

// Live is the state of a run, for people who watch it.
type Live struct {
	Elapsed    time.Duration // since the load began
	Phase      string
	Sent, Lost int
	Pods       string // "3 ready, 1 terminating"
}

// Milestones of DD-007, in their order, as this project's service logs them.
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

// Validate finds what can't work before anything is started. Each problem is a
// line that says what to do.
func (o *Options) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(o.Manifests) == 0 {
		problem("name the manifests of the target")
	}
	if len(o.Steps) == 0 {
		problem("the scenario does nothing: --restarts must be at least 1")
	}
	if o.Replicas < 0 || o.Replicas > 50 {
		problem("%d replicas can't be had here; between 1 and 50 can", o.Replicas)
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

// classes are those that the traffic is made of.
func (t *Traffic) classes() []record.Class {
	classes := []record.Class{record.Reused, record.New}
	if t.SlowPath != "" || t.SlowUpload != "" {
		classes = append(classes, record.Slow)
	}
	if t.StreamPath != "" {
		classes = append(classes, record.Stream)
	}
	return classes
}

// splitService takes namespace/name apart.
func splitService(s string) (namespace, name string) {
	if ns, n, ok := strings.Cut(s, "/"); ok {
		return ns, n
	}
	return "", s
}
