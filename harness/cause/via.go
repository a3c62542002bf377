package cause

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// throughProxy finds the causes of what the proxy in the path lost, and says of what the
// pods lost behind it how they did: their clients were the proxy's, not the load's.
func (f *finder) throughProxy() {
	if f.run.Via == nil {
		return
	}
	for _, l := range f.losses {
		if l.Side == record.AtPod {
			f.behind(l)
		}
	}
	f.upstream(record.HopStale, record.Cause{
		ID: StaleUpstream, Title: "The proxy sends to pods that are gone: it has not learnt of the new ones",
		InProxy: f.proxy().stale,
	})
	f.upstream(record.HopClosedBefore, record.Cause{
		ID: ClosedUpstream, Title: "The proxy sends on kept connections that the pod has closed, and does not send again",
		InProxy:  f.proxy().again,
		InServer: f.server.idle,
	})
	f.upstream(record.HopNone, record.Cause{
		ID: NoUpstream, Title: "The proxy answers without having tried a pod that is there", Likely: true,
		InProxy: "Its health checks, or its count of failures, take all pods for dead: name the Service as the only server, and let no failure take it out. " + f.proxy().stale,
	})
	f.proxyItself()
}

// behind sorts the loss of a request that the proxy could not answer.
func (f *finder) behind(l *loss) {
	switch l.Hop {
	case record.HopRefused, record.HopUnanswered:
		l.way = unreached
	case record.HopReset, record.HopClosed:
		l.way = idle
		if l.End.Sub(l.Sent) > crossing {
			l.way = cut
		}
	default:
		if l.way == status && l.Pod == "" {
			l.way = cut // the proxy says that it got no answer
		}
	}
}

// upstream explains what a proxy lost by its choice of connections.
func (f *finder) upstream(hop record.Hop, c record.Cause) {
	losses := f.take(func(l *loss) bool { return l.Side == record.AtProxy && l.Hop == hop })
	if len(losses) == 0 {
		return
	}
	c.Side = record.AtProxy
	c.Title = "At the proxy: " + c.Title
	c.Evidence = append(c.Evidence, "The first: "+losses[0].SideBy+".")
	made := f.explain(c, losses, nil)
	if made.InServer == "" {
		made.Server = ""
	}
}

// proxyItself finds the causes of all else that was lost at the proxy as if it were the
// target.
func (f *finder) proxyItself() {
	via := f.run.Via
	losses := f.take(func(l *loss) bool { return l.Side == record.AtProxy })
	if len(losses) == 0 {
		return
	}
	own := record.Run{
		Began: f.run.Began, Ended: f.run.Ended, Target: via.Target, Cluster: f.run.Cluster, Load: f.run.Load, Phases: f.run.Phases, Pods: via.Pods,
	}
	if own.Target.Image == "" || via.Kind != "" {
		own.Target.Image = via.Kind
	}
	for _, l := range losses {
		l.explained = true
		r := *l.Request
		r.Pod, r.PodBy, r.Inferred, r.Suspects = r.Via, record.ByTracking, false, nil
		own.Requests = append(own.Requests, r)
	}
	for _, c := range Find(&own) {
		c.Side, c.Title = record.AtProxy, "At the proxy: "+c.Title
		if c.Lost > 0 {
			f.causes = append(f.causes, c)
		}
	}
}

// adviseProxy adds what the proxy can do about the causes of the target.
func (f *finder) adviseProxy() {
	if f.run.Via == nil {
		return
	}
	for i := range f.causes {
		c := &f.causes[i]
		if c.Side == record.AtProxy {
			continue
		}
		switch c.ID {
		case NoHandler, EndsAtOnce, WrongSignal, ListenerClosed, AcceptQueueReset, IdleClosed:
			c.InProxy = f.proxy().again
		case RequestsCut, StreamsCut:
			c.InProxy = fmt.Sprintf("No proxy can send again what a pod has begun to answer. %s", f.proxy().again)
		}
	}
}

// A proxyKind is what one must know of a proxy.
type proxyKind struct {
	again string // how it sends again what no pod can have taken
	stale string // how it follows the pods
}

func (f *finder) proxy() proxyKind {
	if p, ok := proxyKinds[f.run.Via.Kind]; ok {
		return p
	}
	return anyProxy
}

var anyProxy = proxyKind{
	again: "Have it send again, on a new connection, what failed before any byte of a response came: at least requests that change nothing, and others if the connection was refused. " +
		"Keep connections to pods for less time than the pods do.",
	stale: "Send to the name of the Service, whose address stays, or have the proxy follow the EndpointSlices: a name that is resolved once, at the start, is the address of pods that end.",
}

var proxyKinds = map[string]proxyKind{
	"nginx": {
		again: "nginx sends again with proxy_next_upstream error timeout (the default), but only if the upstream has another server, and requests such as POST only with non_idempotent. " +
			"In the upstream, keepalive_timeout must be shorter than the pods' own.",
		stale: "nginx resolves a name once, at its start: name the Service, not the pods of a headless one; or let the upstream resolve again (server NAME resolve, since 1.27.3, with zone and resolver ... valid=5s).",
	},
	"haproxy": {
		again: "In the backend: option redispatch, retries 3 and retry-on conn-failure empty-response, with http-request disable-l7-retry if METH_POST where a request must not be sent twice. http-reuse never keeps no connections to pods.",
		stale: "HAProxy resolves a name once, at its start: name the Service, not the pods of a headless one; or use server-template with resolvers (hold valid 1s).",
	},
}
