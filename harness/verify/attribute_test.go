package verify

import (
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestAttribute(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }
	run := &record.Run{Pods: []record.Pod{
		{Name: "running"},
		// a refuses from 12 s on and exits at 13 s; b drains correctly from 11 to 15 s.
		{Name: "a", Deleted: at(10), Exited: at(13), Gone: at(13.2), Probes: []record.Probe{{At: at(11.9), Status: 503}, {At: at(12)}, {At: at(12.1)}}},
		{Name: "b", Deleted: at(11), Exited: at(15), Gone: at(15.2), Probes: []record.Probe{{At: at(12), Status: 503}, {At: at(12.1), Status: 503}}},
	}}
	for _, r := range []struct {
		sent, end float64
		known     string
		want      string
	}{
		{9, 9.1, "", ""},         // no pod was told to stop
		{11.5, 11.6, "", ""},     // both answered
		{12, 12.01, "", "a"},     // a did not answer
		{12.05, 12.06, "b", "b"}, // the response names it
		{13.1, 15.1, "", ""},     // a, and b at the end of the request
		{14, 14.1, "", "a"},      // a is gone, but may still be routed to
		{15.5, 15.6, "", ""},     // both are gone
		{18, 18.1, "", "b"},      // a has been gone for long
		{30, 30.1, "", ""},       // both have
	} {
		run.Requests = []record.Request{{Outcome: record.Refused, Sent: at(r.sent), End: at(r.end), Pod: r.known}}
		attribute(run)
		if got := run.Requests[0]; got.Pod != r.want || got.Inferred != (r.want != "" && r.known == "") {
			t.Errorf("at %g s: %q, inferred %v, not %q", r.sent, got.Pod, got.Inferred, r.want)
		}
	}
}
