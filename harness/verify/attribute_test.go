package verify

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/record"
)

var base = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }

// Without the node's word, a pod is accused only if no other can have lost the request,
// and suspected only while nodes may still route to it.
func TestAttributeByElimination(t *testing.T) {
	run := &record.Run{Pods: []record.Pod{
		{Name: "running", Ready: at(1)},
		// a refuses from 12 s on and exits at 13 s; b drains correctly from 11 to 15 s.
		{Name: "a", Deleted: at(10), Exited: at(13), Gone: at(13.2), Probes: []record.Probe{{At: at(11.9), Status: 503}, {At: at(12)}, {At: at(12.1)}}},
		{Name: "b", Deleted: at(11), Exited: at(15), Gone: at(15.2), Probes: []record.Probe{{At: at(12), Status: 503}, {At: at(12.1), Status: 503}}},
		// c has left the endpoints long before it ends.
		{Name: "c", Ready: at(1), Deleted: at(40), EndpointGone: at(40.1), Exited: at(50), Gone: at(50.1)},
	}}
	for _, r := range []struct {
		outcome   record.Outcome
		sent, end float64
		age       float64
		known     string
		whose     string
	}{
		{record.Refused, 9, 9.1, 0, "", "a pod unknown"},     // no pod was told to stop
		{record.Refused, 11.5, 11.6, 0, "", "a pod unknown"}, // both answered
		{record.Refused, 12, 12.01, 0, "", "a (by elimination)"},
		{record.Refused, 12.05, 12.06, 0, "b", "b"}, // the response names it
		{record.DialTimeout, 13.1, 15.1, 0, "", "one of a, b"},
		{record.Refused, 14, 14.1, 0, "", "a (by elimination)"}, // a is gone, but may still be routed to
		{record.Refused, 15.5, 15.6, 0, "", "one of a, b"},
		{record.Refused, 18, 18.1, 0, "", "b (by elimination)"},  // a has been gone for long
		{record.Refused, 30, 30.1, 0, "", "a pod unknown"},       // both have
		{record.DialTimeout, 50.2, 52.2, 0, "", "a pod unknown"}, // c has been out of the endpoints for long
		{record.EOFBefore, 50.05, 50.06, 20, "", "c (by elimination)"},
		{record.ResetBefore, 11.5, 11.6, 0, "", "one of a, b"}, // both answered, but either may have closed it
		{record.ResetBefore, 45, 45.1, 20, "", "perhaps c"},
		{record.ResetBefore, 45, 45.1, 0.5, "", "a pod unknown"}, // the connection is too young
	} {
		run.Requests = []record.Request{{
			Outcome: r.outcome, Sent: at(r.sent), End: at(r.end), Pod: r.known, ConnectionAge: time.Duration(r.age * float64(time.Second)),
		}}
		(&attribution{run: run}).all()
		if got := run.Requests[0].Whose(); got != r.whose {
			t.Errorf("%s at %g s: %q, not %q", r.outcome, r.sent, got, r.whose)
		}
	}
}

// fakeTrace knows connections by their ports.
type fakeTrace struct {
	flows   map[uint16]conntrack.Flow
	missing bool
}

func (f fakeTrace) Find(port uint16, _, _ time.Time) (conntrack.Flow, bool) {
	flow, ok := f.flows[port]
	return flow, ok
}
func (f fakeTrace) Complete(time.Time, time.Time) bool { return !f.missing }

func TestAttributeByTracking(t *testing.T) {
	flow := func(ip string, s float64) conntrack.Flow {
		return conntrack.Flow{At: at(s), To: netip.AddrPortFrom(netip.MustParseAddr(ip), 8080)}
	}
	// b looks guilty: at all times that are asked for it is the only one that is deaf.
	run := &record.Run{Pods: []record.Pod{
		{Name: "a", Node: "n0", IP: "10.0.0.1", Created: at(0)},
		{Name: "b", Node: "n1", IP: "10.0.1.1", Created: at(0), Deleted: at(10), Exited: at(11), Gone: at(12)},
		{Name: "c", Node: "n0", IP: "10.0.0.2", Created: at(0), Deleted: at(10), Exited: at(11), Gone: at(12)},
		{Name: "d", Node: "n1", IP: "10.0.1.1", Created: at(14)}, // has b's address now
	}}
	trace := fakeTrace{flows: map[uint16]conntrack.Flow{1: flow("10.0.0.1", 12), 2: flow("10.0.1.1", 12), 3: flow("10.0.1.1", 15), 4: flow("10.9.9.9", 12), 6: flow("10.0.0.1", 13)}}
	for _, r := range []struct {
		local   string
		outcome record.Outcome
		pod     string
		by      record.PodSource
		missing bool
		whose   string
	}{
		{"10.0.0.9:1", record.Refused, "", "", false, "a (by the node's connection tracking)"},
		{"10.0.0.9:2", record.DialTimeout, "", "", false, "b (by the node's connection tracking)"},
		{"10.0.0.9:3", record.Refused, "", "", false, "d (by the node's connection tracking)"},
		{"10.0.0.9:4", record.Refused, "", "", false, "a pod unknown"},
		{"10.0.0.9:2", record.EOFBefore, "a", record.ByConnection, false, "b (by the node's connection tracking)"},
		{"10.0.0.9:2", record.UnexpectedStatus, "a", record.ByHeader, false, "a"},
		{"10.0.0.9:2", record.OK, "", "", false, "b (by the node's connection tracking)"},
		// No packet has left the node; or only the second one.
		{"10.0.0.9:6", record.DialTimeout, "", "", false, "c (by elimination)"},
		{"10.0.0.9:6", record.Refused, "", "", false, "a (by the node's connection tracking)"},
		{"10.0.0.9:5", record.DialTimeout, "", "", false, "c (by elimination)"},
		{"10.0.0.9:5", record.Refused, "", "", false, "a pod unknown"},
		{"10.0.0.9:5", record.DialTimeout, "", "", true, "one of b, c"},
		{"", record.DialTimeout, "", "", false, "one of b, c"},
	} {
		run.Requests = []record.Request{{Outcome: r.outcome, Sent: at(12), End: at(13), Pod: r.pod, PodBy: r.by, Inferred: r.by != "", Local: r.local}}
		trace.missing = r.missing
		(&attribution{run: run, trace: trace, node: "n0"}).all()
		if got := run.Requests[0].Whose(); got != r.whose {
			t.Errorf("%s from %s: %q, not %q", r.outcome, r.local, got, r.whose)
		}
		if got, want := run.Requests[0].NodeRefused, r.local == "10.0.0.9:5" && r.outcome == record.Refused; got != want {
			t.Errorf("%s from %s: its node refused it: %v", r.outcome, r.local, got)
		}
	}
	if run.Requests = []record.Request{{Outcome: record.Refused, Sent: at(12), End: at(13)}, {Outcome: record.OK}}; true {
		a := &attribution{run: run}
		a.all()
		if a.unsure != 1 || !slices.Equal(run.Requests[0].Suspects, []string{"b", "c"}) {
			t.Errorf("%d are unsure, suspects %q", a.unsure, run.Requests[0].Suspects)
		}
	}
}

// The advice rests on connections to pods that were stopping; not on those to a pod that
// was not, or that has the address of one that is gone.
func TestPropagation(t *testing.T) {
	run := &record.Run{Pods: []record.Pod{
		{Name: "a", IP: "10.0.0.1", Created: at(0), Deleted: at(10), EndpointGone: at(10.1), Gone: at(20)},
		{Name: "b", IP: "10.0.0.2", Created: at(0)},
		{Name: "c", IP: "10.0.0.1", Created: at(30)},
	}}
	var flows []conntrack.Flow
	a := &attribution{run: run, node: "n0"}
	each := func(yield func(conntrack.Flow) bool) {
		for _, f := range flows {
			yield(f)
		}
	}
	for _, c := range []struct {
		ip     string
		s      float64
		want   float64
		advice string
	}{
		{"10.0.0.2", 40, 0, "no new connection to any of 1 stopping pod"},
		{"10.0.0.1", 9, 0, "no new connection to any of 1 stopping pod"},
		{"10.0.0.1", 40, 0, "no new connection"},
		{"10.0.0.1", 10.05, 0.05, "(none came after a pod had left the endpoints"},
		{"10.0.0.1", 11.6, 1.6, "at least 5s after"},
		{"10.0.0.1", 11.2, 1.6, "1.5 s after it had left the endpoints"},
	} {
		flows = append(flows, conntrack.Flow{At: at(c.s), To: netip.AddrPortFrom(netip.MustParseAddr(c.ip), 80)})
		p := a.propagation(each)
		if got := max(0, p.AfterDeletion); (got-time.Duration(c.want*float64(time.Second))).Abs() > time.Millisecond || !strings.Contains(advise(p), c.advice) {
			t.Errorf("with %s at %g s: %s; %s", c.ip, c.s, got, advise(p))
		}
	}
	run.Pods = run.Pods[1:]
	if p := a.propagation(each); p != nil {
		t.Errorf("no pod was told to stop: %+v", p)
	}
}
