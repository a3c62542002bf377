package verify

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

const (
	// heardLate is how much later than it happened a watcher may hear of a connection's end,
	// or of a pod's deletion, on a busy host.
	heardLate = time.Second
	// crossing is within which time a request and the close of its connection may cross on
	// the way.
	crossing = 50 * time.Millisecond
	// unseen is how long the close of a connection has been there if whoever sends on it did
	// not look: the reset, which answers what is sent, follows the close by that much.
	unseen = 20 * time.Millisecond
	// seenLate is how late the end of a container may be seen: a kubelet looks once a
	// second, and reports after that.
	seenLate = 2500 * time.Millisecond
)

// sides finds on which side of a proxy requests were lost: by what the client saw, by what
// became of the proxy's connections to the pods at that time, and by which pods were
// stopping.
type sides struct {
	run      *record.Run
	load     tracker // of the load's connections to the proxy; nil: there is none
	hops     []hop   // of the proxy's connections to the pods, by time
	complete bool    // hops has all of them
	headers  bool    // responses of the pods name them
	stale    bool    // the proxy connected to a pod that had long been gone
	pods     attribution
	proxies  attribution
}

// A hop is the end of a connection from the proxy to a pod.
type hop struct {
	conntrack.Flow
	at  time.Time
	how record.Hop
	pod *record.Pod
	// before is the pod that had the address before, if none has it.
	before *record.Pod
}

// attributeSides completes the record of each request that was lost, by package
// conntrack's traces.
func (v *verification) attributeSides() {
	s := &sides{run: &v.run, complete: len(v.via.views) > 0}
	s.proxies.run = &record.Run{Pods: since(v.run.Via.Pods, v.run.Began)}
	s.pods.run = &record.Run{Pods: since(v.run.Pods, v.run.Began)}
	if v.nodes.trace != nil {
		v.nodes.trace.Close()
		s.load = v.nodes.trace
	}
	var flows []conntrack.Flow
	for i := range v.via.views {
		trace := v.via.views[i].trace
		if trace == nil {
			s.complete = false
			continue
		}
		trace.Close()
		if err := trace.Problem(); err != nil {
			s.complete, v.nodes.why = false, cmp.Or(v.nodes.why, err.Error())
		}
		s.complete = s.complete && trace.Complete(v.run.Began, v.run.Ended)
		trace.Flows(func(f conntrack.Flow) bool {
			flows = append(flows, f)
			return true
		})
	}
	s.all(flows)
	if p := s.pods.propagation(ofProxy(&s.proxies, flows)); p != nil && s.complete {
		v.run.Propagation = p
		v.run.Notes = append(v.run.Notes, adviseVia(p))
	}
	if v.nodes.why != "" {
		v.run.Notes = append(v.run.Notes, fmt.Sprintf("On which side of the proxy requests were lost is less certain, as the nodes' connection tracking was not read: %s.", v.nodes.why))
	}
}

// since returns the pods, of which those that were there at a time had always been: the
// connections that they had before are told of, too.
func since(pods []record.Pod, began time.Time) []record.Pod {
	pods = slices.Clone(pods)
	for i := range pods {
		if pods[i].Created.Before(began) {
			pods[i].Created = time.Time{}
		}
	}
	return pods
}

// ofProxy yields the connections that the proxy's pods have opened.
func ofProxy(proxies *attribution, flows []conntrack.Flow) func(func(conntrack.Flow) bool) {
	return func(yield func(conntrack.Flow) bool) {
		for _, f := range flows {
			if proxies.at(f.Client, f.At) != "" && !yield(f) {
				return
			}
		}
	}
}

func (s *sides) all(flows []conntrack.Flow) {
	for f := range ofProxy(&s.proxies, flows) {
		h := hop{Flow: f}
		h.pod, h.before = s.podAt(f.To.Addr(), f.At)
		// A connection can be refused, or be closed, and be reset after that.
		switch {
		case f.Refused():
			h.at, h.how = f.Gone, record.HopRefused
		case !f.Reset.IsZero():
			h.at, h.how = f.Reset, record.HopReset
		case !f.Closed.IsZero():
			h.at, h.how = f.Closed, record.HopClosed
		case f.Taken.IsZero():
			h.at, h.how = f.At, record.HopUnanswered
		default:
			continue
		}
		s.hops = append(s.hops, h)
		if h.how == record.HopClosed && f.Ended.Sub(f.Closed) > unseen {
			h.at, h.how = f.Ended, record.HopClosedBefore // whoever closed it last had not looked until then
			s.hops = append(s.hops, h)
		}
	}
	slices.SortFunc(s.hops, func(a, b hop) int { return a.at.Compare(b.at) })
	s.headers = slices.ContainsFunc(s.run.Requests, func(r record.Request) bool { return !r.Failed() && r.Pod != "" && !r.Inferred })
	for i := range s.run.Requests {
		r := &s.run.Requests[i]
		if !r.Failed() {
			continue
		}
		if r.Inferred || r.PodBy != record.ByHeader {
			r.Pod, r.PodBy, r.Inferred = "", "", false // the proxy's connection leads to any pod
		}
		if port := portOf(r.Local); port != 0 && s.load != nil {
			if f, ok := s.load.Find(port, r.Sent.Add(-r.ConnectionAge), r.End); ok {
				r.Via = s.proxies.at(f.To.Addr(), f.At)
			}
		}
		r.Side, r.SideBy = s.side(r)
		s.stale = s.stale || r.Hop == record.HopStale
	}
	for i := range s.run.Requests {
		r := &s.run.Requests[i]
		if s.stale && r.Failed() && r.Hop == "" && r.Pod == "" && r.Status != 0 {
			r.Suspects = nil
			r.Side, r.SideBy = s.side(r)
		}
		if r.Failed() && r.Side == record.AtProxy {
			r.Pod, r.PodBy, r.Suspects = "", "", nil
		}
	}
}

// podAt returns the pod that has an address at a time; or if none has, the one that had it
// last.
func (s *sides) podAt(ip netip.Addr, at time.Time) (now, before *record.Pod) {
	name := s.pods.at(ip, at)
	for i := range s.run.Pods {
		p := &s.run.Pods[i]
		switch {
		case p.Name != name || name == "":
		case !p.Gone.IsZero() && at.After(p.Gone):
			return nil, p
		default:
			return p, nil
		}
	}
	return nil, nil
}

// side says where a lost request was lost, and why it is thought so.
func (s *sides) side(r *record.Request) (record.Side, string) {
	proxy := s.stopping(s.run.Via.Pods, r.Via, r)
	switch {
	case isDial(r.Outcome):
		return record.AtProxy, "no connection to the proxy could be made" + ending(proxy)
	case r.Status != 0 && r.Pod != "":
		return s.cut(r, proxy)
	case r.SentAfterClose:
		return record.AtProxy, "the proxy had closed the client's connection before the request was sent" + ending(proxy)
	case r.Status != 0 && !s.byProxy(r):
		return record.AtPod, fmt.Sprintf("the response with status %d is not one that a proxy makes", r.Status)
	case r.Status == 0 && proxy != nil && ended(proxy, r.End):
		return record.AtProxy, "the proxy ended" + ending(proxy)
	}
	if side, by := s.byHop(r); side != "" {
		return side, by
	}
	if h := s.held(r); h != nil {
		r.Hop = record.HopClosedBefore
		return record.AtProxy, fmt.Sprintf("the proxy still had a connection that the pod %s had closed %s before", h.pod.Name, format.Duration(r.Sent.Sub(h.Closed)))
	}
	pod := s.stopping(s.run.Pods, "", r)
	switch {
	case proxy != nil && pod == nil:
		return record.AtProxy, "no pod of the target was stopping" + ending(proxy)
	case s.complete && pod == nil && r.Outcome != record.ResponseTimeout:
		return record.AtProxy, "no pod was stopping, and none refused or ended a connection of the proxy then"
	case s.complete && s.stale && !s.late(r):
		r.Hop = record.HopStale
		return record.AtProxy, "the proxy chooses pods itself, has chosen some that had long been gone, and no pod then refused or ended a connection: there is no trace of one to a pod that is gone from the proxy's own node"
	case s.complete && (r.Status == http.StatusServiceUnavailable || r.Status == http.StatusBadGateway) && !s.late(r):
		r.Hop = record.HopNone
		return record.AtProxy, "no pod refused or ended a connection of the proxy then: it tried none, or one whose address is nobody's"
	case pod != nil && proxy == nil:
		r.Suspects = []string{pod.Name}
		return record.AtPod, "the proxy lived on, and a pod was stopping"
	}
	return record.AtEither, "what was seen fits both"
}

// byProxy reports whether a response without the name of a pod is the proxy's own.
func (s *sides) byProxy(r *record.Request) bool {
	switch r.Status {
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	case http.StatusServiceUnavailable, http.StatusInternalServerError:
		return s.headers
	}
	return s.headers && r.Status >= 500
}

// cut says where a response was lost that a pod had begun.
func (s *sides) cut(r *record.Request, proxy *record.Pod) (record.Side, string) {
	switch r.Outcome {
	case record.EOFMid, record.ResetMid, record.StreamBroken, record.ResponseTimeout, record.StreamReset:
	default:
		return record.AtPod, "the response names the pod"
	}
	pod := s.stopping(s.run.Pods, r.Pod, r)
	switch {
	case proxy != nil && pod == nil:
		return record.AtProxy, "the proxy ended while the pod answered" + ending(proxy)
	case pod != nil && proxy == nil:
		return record.AtPod, "the pod was stopping while it answered, and the proxy lived on"
	}
	for i := range s.near(r) {
		if h := &s.hops[i]; h.how == record.HopReset && h.pod != nil && h.pod.Name == r.Pod && proxy == nil {
			return record.AtPod, "the pod's connection to the proxy was reset then"
		}
	}
	return record.AtEither, "the pod's response was cut, and what was seen fits both"
}

// near yields the indexes of the hops that ended while a request was under way, on the
// proxy's pod that had it.
func (s *sides) near(r *record.Request) func(func(int) bool) {
	from := r.Sent.Add(-crossing)
	first, _ := slices.BinarySearchFunc(s.hops, from, func(h hop, t time.Time) int { return h.at.Compare(t) })
	return func(yield func(int) bool) {
		for i := first; i < len(s.hops) && !s.hops[i].at.After(r.End.Add(heardLate)); i++ {
			if r.Via != "" && s.proxies.at(s.hops[i].Client, s.hops[i].Flow.At) != r.Via {
				continue
			}
			if !yield(i) {
				return
			}
		}
	}
}

// byHop says where a request was lost by what became of the proxy's connections while it
// was under way; empty if nothing became of them.
func (s *sides) byHop(r *record.Request) (record.Side, string) {
	var best *hop
	rank := 0
	for i := range s.near(r) {
		h := &s.hops[i]
		if n := rankOf(h, r); n > rank {
			best, rank = h, n
		}
	}
	if best == nil {
		return "", ""
	}
	name := best.To.Addr().String()
	pod := cmp.Or(best.pod, best.before)
	if pod != nil {
		name = pod.Name
	}
	since := ""
	if pod != nil && !pod.EndpointGone.IsZero() && best.Flow.At.After(pod.EndpointGone) {
		since = fmt.Sprintf(" %s after it had left the endpoints", format.Duration(best.Flow.At.Sub(pod.EndpointGone)))
	}
	switch {
	case rank == rankStale:
		r.Hop = record.HopStale
		return record.AtProxy, fmt.Sprintf("the proxy connected to the pod %s itself%s", name, cmp.Or(since, ", which is none of the target's"))
	case rank == rankLate:
		r.Hop = record.HopClosedBefore
		return record.AtProxy, fmt.Sprintf("the proxy sent on a connection that the pod %s had closed %s before", name, format.Duration(best.at.Sub(best.Closed)))
	}
	r.Hop = best.how
	if best.pod != nil {
		r.Pod, r.PodBy, r.Inferred = best.pod.Name, record.ByTracking, false
	}
	return record.AtPod, fmt.Sprintf("a connection of the proxy to the pod %s was %s then%s", name, best.how, since)
}

// The ranks of what may explain a loss, the best last.
const (
	rankClosed = iota + 1 // by a pod that was stopping
	rankReset
	rankRefused
	rankLate  // reset long after it was closed: the proxy sent on it all the same
	rankStale // to a pod that had left the endpoints long before
)

// held returns a connection that the proxy still had when it got a request, though its pod
// had closed it and ended; nil if there is none, or if the request did not fail at once, as
// on such a connection. What the proxy sends on it leaves no trace, if the pod was on its
// own node.
func (s *sides) held(r *record.Request) *hop {
	if r.End.Sub(r.Sent) > crossing {
		return nil
	}
	for i := range s.hops {
		h := &s.hops[i]
		if h.Closed.IsZero() || r.Sent.Sub(h.Closed) <= unseen || !h.Ended.IsZero() && h.Ended.Before(r.Sent) || !h.Reset.IsZero() && h.Reset.Before(r.Sent) {
			continue
		}
		if p := h.pod; p == nil || p.Deleted.IsZero() || h.Closed.Before(p.Deleted) || p.Exited.IsZero() || p.Exited.Sub(r.End) > seenLate {
			continue
		}
		if r.Via == "" || s.proxies.at(h.Client, h.Flow.At) == r.Via {
			return h
		}
	}
	return nil
}

// rankOf says how well the end of a connection explains that a request was lost; 0: not
// at all.
func rankOf(h *hop, r *record.Request) int {
	stopping := h.pod != nil && !h.pod.Deleted.IsZero() && !h.at.Before(h.pod.Deleted) // when it was opened, the pod was there
	left := cmp.Or(h.pod, h.before)
	unanswered := h.how == record.HopRefused || h.how == record.HopUnanswered
	switch {
	case h.Direct && (unanswered && left == nil || left != nil && !left.EndpointGone.IsZero() && h.Flow.At.Sub(left.EndpointGone) > routedAfter):
		return rankStale
	case h.how == record.HopReset && !h.Closed.IsZero() && h.Reset.Sub(h.Closed) > unseen,
		h.how == record.HopClosedBefore && stopping && r.Sent.Sub(h.Closed) > unseen:
		return rankLate
	case unanswered:
		return rankRefused
	case h.how == record.HopReset && (stopping || h.pod == nil):
		return rankReset
	case h.how == record.HopClosed && stopping:
		return rankClosed
	}
	return 0
}

// late reports whether a node may still have sent the proxy's connection to a pod that did
// not answer any more, of which no trace is left if the pod was on the same node.
func (s *sides) late(r *record.Request) bool {
	for i := range s.run.Pods {
		p := &s.run.Pods[i]
		if s.pods.routed(p, r.Sent) && (wasDeaf(p, r.Sent) || wasDeaf(p, r.End)) {
			return true
		}
	}
	return false
}

// stopping returns a pod that was stopping, or had just ended, while a request was under
// way: the one of a name, or any.
func (s *sides) stopping(pods []record.Pod, name string, r *record.Request) *record.Pod {
	for i := range pods {
		if p := &pods[i]; (name == "" || p.Name == name) && !p.Deleted.IsZero() && !r.End.Before(p.Deleted.Add(-heardLate)) && (p.Gone.IsZero() || !r.Sent.After(p.Gone.Add(routedAfter))) {
			return p
		}
	}
	return nil
}

// ended reports whether a pod ended when something happened, as far as that is seen.
func ended(p *record.Pod, at time.Time) bool {
	end := p.Exited
	if end.IsZero() {
		end = p.Gone
	}
	return end.IsZero() || end.Sub(at) < seenLate
}

// ending says how long a pod of the proxy had been stopping; empty if it was not.
func ending(p *record.Pod) string {
	if p == nil {
		return ""
	}
	return "; its pod " + p.Name + " was stopping"
}
