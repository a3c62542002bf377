// Package defectstest tests that a verification reports about a case of package defects
// what it must, in any cluster.
package defectstest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Verify fails the test if a verification does not report what it must about c. On a
// busy host, pods may start too late, the load generator may be too late to meet the pods
// or lose requests because of that, readiness may be polled too late, and the cluster may
// go on sending connections to a pod for longer than any server waits. If this was seen
// while others used the host, it verifies again, at most twice. verify does this; try
// counts from 1.
func Verify(t *testing.T, c defects.Case, verify func(try int) (*record.Run, error)) *record.Run {
	t.Helper()
	what, try := "whether a right server passes", 0
	if c.Name != "" {
		what = "whether the defect " + c.Name + " is caught"
	}
	var run *record.Run
	err := testenv.Measure(t, what, func() (excused bool, err error) {
		try++
		if run, err = verify(try); err != nil {
			return true, err
		}
		tell(t, run)
		late := slices.ContainsFunc(defects.Failed(run), func(id string) bool {
			return (id == verdict.LoadID || id == verdict.ReadinessID) && !slices.Contains(c.Checks, id)
		})
		return late || c.Name == "" && clusterWasLate(run), c.Judge(run)
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// propagationDelay is for how long a right server serves after it was told to stop, while
// the cluster learns of it (DD-007).
const propagationDelay = 5 * time.Second

// clusterWasLate reports whether all that was lost are new connections to pods that had
// been told to stop more than the propagation delay before. A right server can't answer
// these: it was the cluster that still sent them there.
func clusterWasLate(run *record.Run) bool {
	lost := 0
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Failed() {
			continue
		}
		lost++
		switch r.Outcome {
		case record.Refused, record.DialTimeout, record.DialFailed, record.ResetBefore, record.EOFBefore:
		default:
			return false
		}
		if r.ConnectionUse > 0 || !slices.ContainsFunc(run.Pods, func(p record.Pod) bool {
			told := p.TermBegan()
			return !told.IsZero() && r.End.Sub(told) >= propagationDelay && (p.Gone.IsZero() || r.Sent.Before(p.Gone.Add(propagationDelay))) &&
				(r.Pod == "" || r.Pod == p.Name)
		}) {
			return false
		}
	}
	return lost > 0
}

// tell logs the result of a run.
func tell(t *testing.T, run *record.Run) {
	t.Helper()
	lost := 0
	for i := range run.Requests {
		if run.Requests[i].Failed() {
			lost++
		}
	}
	t.Logf("%d requests, %d lost, %d pods, %.1f s", len(run.Requests), lost, len(run.Pods), run.Ended.Sub(run.Began).Seconds())
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			t.Logf("FAIL %s: %s; %s", c.ID, c.Measured, strings.Join(c.Evidence, "\n        "))
		}
	}
}
