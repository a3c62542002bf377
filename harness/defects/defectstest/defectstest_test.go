package defectstest

import (
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestClusterWasLate(t *testing.T) {
	told := time.Unix(1000, 0)
	run := func(change func(r *record.Request)) *record.Run {
		lost := record.Request{Outcome: record.Refused, Sent: told.Add(6 * time.Second), End: told.Add(6 * time.Second), Pod: "old"}
		change(&lost)
		return &record.Run{
			Pods:     []record.Pod{{Name: "old", Signalled: told, Gone: told.Add(9 * time.Second)}, {Name: "new"}},
			Requests: []record.Request{{Outcome: record.OK, Sent: told, End: told}, lost},
		}
	}
	for name, tt := range map[string]struct {
		change func(r *record.Request)
		want   bool
	}{
		"a new connection to a pod that is gone": {func(*record.Request) {}, true},
		"a pod that is unknown":                  {func(r *record.Request) { r.Pod = "" }, true},
		"while the pod should still serve":       {func(r *record.Request) { r.End = told.Add(4 * time.Second) }, false},
		"a pod that was not told to stop":        {func(r *record.Request) { r.Pod = "new" }, false},
		"long after the pod":                     {func(r *record.Request) { r.Sent, r.End = told.Add(time.Minute), told.Add(time.Minute) }, false},
		"in the middle of a response":            {func(r *record.Request) { r.Outcome = record.EOFMid }, false},
		"a kept connection":                      {func(r *record.Request) { r.ConnectionUse = 3 }, false},
		"nothing lost":                           {func(r *record.Request) { r.Outcome = record.OK }, false},
	} {
		if got := clusterWasLate(run(tt.change)); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
