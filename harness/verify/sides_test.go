package verify

import (
	"net/netip"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// At 10 s the pod "old" is told to stop; at 10.5 s it has left the endpoints; at 16 s it is
// gone. The pod "new" lives. The proxy "p" lives, "q" is told to stop at 40 s and gone at 45 s.
func TestSides(t *testing.T) {
	base := time.Unix(1000, 0)
	at := func(s float64) time.Time {
		if s == 0 {
			return time.Time{}
		}
		return base.Add(time.Duration(s * float64(time.Second)))
	}
	const oldIP, newIP, pIP = "10.0.1.1", "10.0.1.2", "10.0.2.1"
	flow := func(to string, direct bool, opened, taken, closed, reset, gone float64) conntrack.Flow {
		return conntrack.Flow{
			At: at(opened), Client: netip.MustParseAddr(pIP), To: netip.MustParseAddrPort(to + ":8080"), Direct: direct,
			Taken: at(taken), Closed: at(closed), Reset: at(reset), Gone: at(gone),
		}
	}
	bad := func(status int, sent, end float64) record.Request {
		return record.Request{Class: record.New, Outcome: record.UnexpectedStatus, Status: status, Sent: at(sent), End: at(end)}
	}
	with := func(r record.Request, change func(*record.Request)) record.Request {
		change(&r)
		return r
	}
	for _, x := range []struct {
		name  string
		lost  record.Request
		flows []conntrack.Flow
		side  record.Side
		hop   record.Hop
		pod   string
	}{
		{"the proxy can't be reached", with(bad(0, 20, 20.1), func(r *record.Request) { r.Outcome = record.Refused }), nil, record.AtProxy, "", ""},
		{"a pod says 500", with(bad(500, 20, 20.1), func(r *record.Request) { r.Pod = "new" }), nil, record.AtPod, "", "new"},
		{"404 without a name", bad(404, 20, 20.1), nil, record.AtPod, "", ""},
		{"a pod is cut while the proxy lives", with(bad(200, 9, 12), func(r *record.Request) { r.Outcome, r.Pod = record.EOFMid, "old" }), nil, record.AtPod, "", "old"},
		{"the proxy ends while a pod answers", with(bad(200, 39, 44), func(r *record.Request) { r.Outcome, r.Pod = record.EOFMid, "new" }), nil, record.AtProxy, "", ""},
		{"the proxy ends before an answer", with(bad(0, 43, 44), func(r *record.Request) { r.Outcome = record.EOFBefore }), nil, record.AtProxy, "", ""},
		{"the proxy closed the client's connection", with(bad(0, 12, 12.1), func(r *record.Request) { r.Outcome, r.SentAfterClose = record.EOFBefore, true }), nil, record.AtProxy, "", ""},
		{"a stopping pod refuses by the Service", bad(502, 11, 11.1), []conntrack.Flow{flow(oldIP, false, 11.05, 0, 0, 0, 11.06)}, record.AtPod, record.HopRefused, "old"},
		{"the same, long after, is the nodes' fault", bad(502, 15, 15.1), []conntrack.Flow{flow(oldIP, false, 15.05, 0, 0, 0, 15.06)}, record.AtPod, record.HopRefused, "old"},
		{"but the proxy's if it chose the pod", bad(502, 15, 15.1), []conntrack.Flow{flow(oldIP, true, 15.05, 0, 0, 0, 15.06)}, record.AtProxy, record.HopStale, ""},
		{"an address that is nobody's", bad(504, 30, 33), []conntrack.Flow{flow("10.0.9.9", true, 30.05, 0, 0, 0, 0)}, record.AtProxy, record.HopStale, ""},
		{"reset in flight", bad(502, 11, 12.1), []conntrack.Flow{flow(oldIP, false, 5, 5, 0, 12.1, 0)}, record.AtPod, record.HopReset, "old"},
		{"closed as the request came", bad(502, 12, 12.01), []conntrack.Flow{flow(oldIP, false, 5, 5, 12, 12.005, 0)}, record.AtPod, record.HopReset, "old"},
		{"closed long before", bad(502, 12, 12.01), []conntrack.Flow{flow(oldIP, false, 5, 5, 11.5, 12.005, 0)}, record.AtProxy, record.HopClosedBefore, ""},
		{"closed long before by a pod that is gone", bad(502, 18, 18.01), []conntrack.Flow{closedBoth(flow(oldIP, false, 5, 5, 15, 0, 0), at(18.005))}, record.AtProxy, record.HopClosedBefore, ""},
		{"closed long before, without a trace of what was sent", bad(502, 18, 18.01), []conntrack.Flow{flow(oldIP, false, 5, 5, 15, 0, 0)}, record.AtProxy, record.HopClosedBefore, ""},
		{"the same, but the proxy had closed it, too", bad(502, 18, 18.01), []conntrack.Flow{closedBoth(flow(oldIP, false, 5, 5, 15, 0, 0), at(15.001))}, record.AtProxy, record.HopNone, ""},
		{"closed with the request, and by the proxy later", bad(502, 14.9, 15.3), []conntrack.Flow{closedBoth(flow(oldIP, false, 5, 5, 15, 0, 0), at(15.2))}, record.AtPod, record.HopClosed, "old"},
		{"closed by a stopping pod, with the request", bad(502, 11.9, 12.01), []conntrack.Flow{flow(oldIP, false, 5, 5, 12, 0, 0)}, record.AtPod, record.HopClosed, "old"},
		{"it refuses what is no proxy", bad(502, 11, 11.1), []conntrack.Flow{from(flow(oldIP, false, 11.05, 0, 0, 0, 11.06), "10.0.7.7")}, record.AtProxy, record.HopNone, ""},
		{"an ordinary close of a pod that lives", bad(503, 30, 30.01), []conntrack.Flow{flow(newIP, false, 30, 30, 30.005, 0, 0)}, record.AtProxy, "", ""},
		{"a stopping pod refuses the proxy that had it", with(bad(502, 11, 11.1), func(r *record.Request) { r.Local = "10.0.3.1:40000" }), []conntrack.Flow{flow(oldIP, false, 11.05, 0, 0, 0, 11.06)}, record.AtPod, record.HopRefused, "old"},
		{"it refuses another proxy", with(bad(502, 11, 11.1), func(r *record.Request) { r.Local = "10.0.3.1:40000" }), []conntrack.Flow{from(flow(oldIP, false, 11.05, 0, 0, 0, 11.06), "10.0.2.2")}, record.AtProxy, record.HopNone, ""},
		{"no pod tried though one is stopping", bad(503, 10.2, 10.21), nil, record.AtProxy, record.HopNone, ""},
	} {
		run := &record.Run{
			Began: at(1), Ended: at(60),
			Pods: []record.Pod{
				{Name: "old", IP: oldIP, Created: at(1), Ready: at(1), Deleted: at(10), EndpointGone: at(10.5), Exited: at(16), Gone: at(16)},
				{Name: "new", IP: newIP, Created: at(1), Ready: at(1)},
			},
			Via:      &record.Via{Pods: []record.Pod{{Name: "p", IP: pIP, Created: at(1)}, {Name: "q", IP: "10.0.2.2", Created: at(1), Deleted: at(40), Exited: at(45), Gone: at(45)}}},
			Requests: []record.Request{{Outcome: record.OK, Pod: "new"}, x.lost},
		}
		s := &sides{run: run, complete: true, load: toProxy(pIP)}
		s.pods.run, s.proxies.run = run, &record.Run{Pods: run.Via.Pods}
		s.all(x.flows)
		if r := run.Requests[1]; r.Side != x.side || r.Hop != x.hop || r.Pod != x.pod || r.SideBy == "" {
			t.Errorf("%s: at %q (%s), hop %q, pod %q; want %q, %q, %q", x.name, r.Side, r.SideBy, r.Hop, r.Pod, x.side, x.hop, x.pod)
		}
	}
}

// toProxy knows that the load's connections go to one of the proxy's pods.
type toProxy string

func (p toProxy) Find(_ uint16, opened, _ time.Time) (conntrack.Flow, bool) {
	return conntrack.Flow{At: opened, To: netip.AddrPortFrom(netip.MustParseAddr(string(p)), 8080)}, true
}

func (toProxy) Complete(time.Time, time.Time) bool { return true }

func closedBoth(f conntrack.Flow, at time.Time) conntrack.Flow {
	f.Ended = at
	return f
}

// from returns the connection as one of another client.
func from(f conntrack.Flow, client string) conntrack.Flow {
	f.Client = netip.MustParseAddr(client)
	return f
}
