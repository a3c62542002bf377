// Package scenario does to a target, or to its cluster, what happens to it in
// production, while the traffic is on.
package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/rollout"
)

// Env is what the steps work on.
type Env struct {
	Client kubernetes.Interface
	Faults cluster.Faults // nil where the cluster can't make any
	Target rollout.Deployment
	// ReadyTimeout bounds each wait for the Deployment.
	ReadyTimeout time.Duration
	// Outage is how long the API server is stopped, and a kubelet.
	Outage time.Duration
	// Say tells the user what is being done.
	Say func(format string, args ...any)
}

// A Step is one thing that is done. It returns when it is over, but for pods
// that are still terminating.
type Step struct {
	Name string
	// Terminations says that pods of the target are told to stop.
	Terminations bool
	// Nodes says that the step changes nodes, and so what others have there.
	Nodes bool
	// Faults says that the step needs a cluster in which faults can be made.
	Faults bool
	Run    func(context.Context, *Env) error
}

// A kind of step, as it is named on the command line.
type kind struct {
	name, what string
	steps      func(restarts int) []Step
}

var kinds = []kind{
	{"rolling-restart", "kubectl rollout restart, as often as --restarts says", func(n int) []Step {
		steps := make([]Step, n)
		for i := range steps {
			steps[i] = Step{Name: fmt.Sprintf("rolling restart %d", i+1), Terminations: true, Run: restart}
		}
		return steps
	}},
	{"node-drain", "cordon the node with most of the pods and evict them, then uncordon it", one(Step{Name: "node drain", Terminations: true, Nodes: true, Run: drain})},
	{"pod-deletion", "delete one pod after the other", one(Step{Name: "pod deletion", Terminations: true, Run: deletePods})},
	{"scale", "scale down to one replica and up again", one(Step{Name: "scaling down and up", Terminations: true, Run: scale})},
	{"api-outage", "stop the API server for the time of --outage", one(Step{Name: "API server outage", Faults: true, Run: apiOutage})},
	{"kubelet-kill", "kill the kubelet of a node, start it again after the time of --outage", one(Step{Name: "kubelet outage", Faults: true, Run: kubeletKill})},
}

func one(s Step) func(int) []Step { return func(int) []Step { return []Step{s} } }

// Names are the scenarios that Parse knows, each with what it does.
func Names() (names, what []string) {
	for _, k := range kinds {
		names, what = append(names, k.name), append(what, k.what)
	}
	return names, what
}

// Parse turns a list such as "rolling-restart,node-drain" into steps; restarts is
// how many rolling restarts the first means.
func Parse(list string, restarts int) ([]Step, error) {
	var steps []Step
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		found := false
		for _, k := range kinds {
			if k.name == name {
				steps, found = append(steps, k.steps(restarts)...), true
			}
		}
		if !found {
			names, _ := Names()
			return nil, fmt.Errorf("there is no scenario %q; there are: %s", name, strings.Join(names, ", "))
		}
	}
	return steps, nil
}

// Pause does nothing for a time, while the traffic goes on. It returns the cause
// of ctx's end if that comes first.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
