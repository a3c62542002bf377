package cause

import (
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// knownAfter is the time after which each node knows that a pod is ready: kube-proxy updates
// its rules at most once a second.
const knownAfter = 4 * time.Second

// byNode reports whether the client's node refused a connection that it should have sent to
// a pod. A node that knows of no ready pod does so, too, and rightly.
func (f *finder) byNode(r *record.Request) bool { return r.NodeRefused && f.readyAt(r.End) > 0 }

// readyAt returns the number of pods that each node must have known to be ready at a time.
func (f *finder) readyAt(at time.Time) int {
	n := 0
	for i := range f.run.Pods {
		if p := &f.run.Pods[i]; p.ReadyAt(at) && p.Ready.Add(knownAfter).Before(at) {
			n++
		}
	}
	return n
}

// nodeRefused explains what no pod can have lost.
func (f *finder) nodeRefused() {
	losses := f.take(func(l *loss) bool { return f.byNode(l.Request) })
	if len(losses) == 0 {
		return
	}
	ready := f.readyAt(losses[0].End)
	f.explain(record.Cause{
		ID: NodeRefused, Title: "The client's node refused connections, and sent them to no pod",
		Evidence: []string{fmt.Sprintf("When it refused the first, %s%s ready for %.0f s or more.", count(ready, "pod"), were(ready), knownAfter.Seconds())},
		InServer: "Nothing: no pod has seen them. Clients can try a refused connection again, which is safe with any request.",
	}, losses, nil)
}
