// Package scenario does to a target, or to its cluster, what happens in production,
// while traffic goes on. [Parse] turns names into steps; each [Step] works on an [Env].
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
	Faults cluster.Faults // nil if the cluster has none
	Target rollout.Workload
	Via    *rollout.Workload // the proxy before it; nil: none
	// ReadyTimeout bounds each wait for the target.
	ReadyTimeout time.Duration
	// Outage is how long the API server or a kubelet is stopped.
	Outage time.Duration
	// GraceCap is the longest grace period that a spot node gives.
	GraceCap time.Duration
	// Restarting is called before a restart, with the value of the annotation that
	// makes it; may be nil.
	Restarting func(at string)
	// Say reports progress.
	Say func(format string, args ...any)
}

// A Step is one action. It returns when that is complete, though pods may still be
// terminating.
type Step struct {
	Name string
	// Terminations: it stops pods of the target.
	Terminations bool
	// Nodes: it changes nodes, and so affects others who use them.
	Nodes bool
	// Faults: it needs a cluster that implements cluster.Faults.
	Faults bool
	// Replicas: it changes the number of replicas.
	Replicas bool
	// Rollout: it is a rollout, which a workload that replaces pods only when they are
	// deleted does not have.
	Rollout bool
	// Via: it is done to the proxy before the target, and not to the target.
	Via bool
	Run func(context.Context, *Env) error
}

// A kind is a kind of step, with its name on the command line.
type kind struct {
	name, what string
	steps      func(restarts int) []Step
}

var kinds = []kind{
	{"rolling-restart", "kubectl rollout restart, as often as --restarts says", func(n int) []Step {
		var steps []Step
		for range n {
			steps = append(steps, Another(steps))
		}
		return steps
	}},
	{"proxy-restart", "kubectl rollout restart of the proxy (--via), as often as --restarts says", func(n int) []Step {
		steps := make([]Step, n)
		for i := range steps {
			steps[i] = Step{Name: fmt.Sprintf("proxy restart %d", i+1), Via: true, Run: restartVia}
		}
		return steps
	}},
	{"node-drain", "cordon the node with most of the pods and evict them, then uncordon it", one(Step{Name: "node drain", Terminations: true, Nodes: true, Run: drain})},
	{"spot-node", "take the node with most of the pods away: cordon it, delete them with a grace period of at most --grace-cap, then uncordon it", one(Step{Name: "spot node", Terminations: true, Nodes: true, Run: spot})},
	{"pod-deletion", "delete one pod after the other", one(Step{Name: "pod deletion", Terminations: true, Run: deletePods})},
	{"scale", "scale down to one replica and up again", one(Step{Name: "scaling down and up", Terminations: true, Replicas: true, Run: scale})},
	{"api-outage", "stop the API server for the time of --outage", one(Step{Name: "API server outage", Faults: true, Run: apiOutage})},
	{"kubelet-kill", "kill the kubelet of a node, start it again after the time of --outage", one(Step{Name: "kubelet outage", Faults: true, Run: kubeletKill})},
}

// Another returns one more rolling restart, with the number that follows those in steps.
func Another(steps []Step) Step {
	n := 1
	for _, s := range steps {
		if s.Rollout {
			n++
		}
	}
	return Step{Name: fmt.Sprintf("rolling restart %d", n), Terminations: true, Rollout: true, Run: restart}
}

func one(s Step) func(int) []Step { return func(int) []Step { return []Step{s} } }

// Names returns the scenarios that Parse knows, and what each does.
func Names() (names, what []string) {
	for _, k := range kinds {
		names, what = append(names, k.name), append(what, k.what)
	}
	return names, what
}

// Parse turns a list such as "rolling-restart,node-drain" into steps. restarts is the
// number of steps that "rolling-restart" stands for.
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

// Pause waits for d. If ctx ends first, it returns the cause.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
