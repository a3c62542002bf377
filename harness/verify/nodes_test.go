package verify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// No response names a pod here. Still it is known for each request to which pod it was
// sent, as the node knows it: for those that were refused or never answered, too. Each
// pod that has lost one was stopping at that time.
func TestTheNodeKnowsWhichPodLostARequest(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	var exits defects.Case
	for _, d := range defects.Planted() {
		if d.Name == "exits-at-once" {
			exits = d
		}
	}
	var run *record.Run
	try := 0
	err := testenv.Measure(t, "which pods lost requests", func() (excused bool, err error) {
		try++
		o := subject(t, exits.Deployment(fmt.Sprint("which-pod-", try)))
		o.Traffic.PodHeader = ""
		run, err = verify.Run(t.Context(), c, o)
		return errors.Is(err, context.DeadlineExceeded), err // of a call to the API server
	})
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string]*record.Pod{}
	for i := range run.Pods {
		pods[run.Pods[i].Name] = &run.Pods[i]
	}
	by := map[record.PodSource]int{}
	lost := map[record.PodSource]int{}
	for i := range run.Requests {
		r := &run.Requests[i]
		if r.Pod == "" {
			// A connection to a pod of the load's own node that is gone leaves no trace.
			if r.Failed() && (r.Outcome != record.DialTimeout || len(r.Suspects) == 0) {
				lost["nobody"]++
				t.Logf("%s at %s from %s, sent at %s: %s", r.Outcome, r.End, r.Local, r.Sent, r.Whose())
			}
			by["nobody"]++
			continue
		}
		by[r.PodBy]++
		if !r.Failed() {
			continue
		}
		lost[r.PodBy]++
		p := pods[r.Pod]
		// What the harness has seen of a pod is a little late.
		if p == nil || p.Deleted.IsZero() || r.End.Before(p.Deleted.Add(-time.Second)) {
			t.Errorf("%s at %s is said to be lost by %s, which was not stopping: %+v", r.Outcome, r.End, r.Whose(), p)
		}
	}
	t.Logf("%d requests, by how their pod is known: %v; of those lost: %v; notes: %q", len(run.Requests), by, lost, run.Notes)
	if lost[record.ByTracking] == 0 {
		t.Error("of no lost request the node has said which pod it was sent to")
	}
	if by[record.ByTracking] < len(run.Requests)*98/100 {
		t.Errorf("the pods of only %d of %d requests are known by the node", by[record.ByTracking], len(run.Requests))
	}
	if lost["nobody"] > 0 {
		t.Errorf("the pods of %d lost requests are not known", lost["nobody"])
	}
}
