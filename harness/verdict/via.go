package verdict

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// ProxyID identifies the check of the proxy in the path, if there is one.
const ProxyID = "proxy"

// proxy says on which side of the proxy requests were lost, and checks that its pods were
// told to stop if the scenario restarts it. What was lost fails the checks of the classes.
func (j *judge) proxy() []record.Check {
	if j.run.Via == nil {
		return nil
	}
	f := j.finding()
	lost := map[record.Side]int{}
	for i := range j.run.Requests {
		r := &j.run.Requests[i]
		if r.Failed() {
			lost[r.Side]++
		}
	}
	stopped := 0
	for i := range j.run.Via.Pods {
		if !j.run.Via.Pods[i].Deleted.IsZero() {
			stopped++
		}
	}
	measured := fmt.Sprintf("%d lost at the proxy, %d at the pod", lost[record.AtProxy], lost[record.AtPod])
	if n := lost[record.AtEither]; n > 0 {
		measured += fmt.Sprintf(", %d at either", n)
	}
	if stopped > 0 {
		measured += fmt.Sprintf("; %d of its pods were told to stop", stopped)
	}
	bound := "reported only"
	if j.rules.ViaTerminations {
		bound = "its pods are told to stop"
		if stopped == 0 {
			f.add("no pod of the proxy was seen to stop")
		}
	}
	c := f.check(ProxyID, "on which side of the proxy requests were lost", bound, measured)
	if !j.rules.ViaTerminations {
		c.Result = record.Reported
	}
	return []record.Check{c}
}
