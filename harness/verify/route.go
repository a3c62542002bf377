package verify

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/load/agent"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// The route to a new Service is there once requests succeed one after the other.
const (
	routeTimeout   = 30 * time.Second
	routeRate      = 20.0 // requests per second
	routeSuccesses = 30
	// mistakenAfter is how long a path may be answered wrongly before that is taken
	// for a mistake in the flags.
	mistakenAfter = 4 * time.Second
	// allPods bounds the wait, once the route is there, for the pods that have not
	// answered yet.
	allPods = 10 * time.Second
)

// awaitRoute returns when the load generator's node routes to the Service and
// every path is answered as expected, by each of the pods if responses name them.
// A Service that was made just now has no rules there yet, and connections to it
// are refused: that says nothing of the target, and the run has not begun. Where
// the rules name the first pod only, every stream would be opened on it, and none
// would meet the others. A path that is answered, but wrongly, is a mistake in the
// flags, and no lost request.
func (v *verification) awaitRoute(ctx context.Context, c load.Config) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	clients := []load.Client{{Class: record.New, Rate: routeRate}}
	if v.Traffic.StreamPath != "" {
		clients = append(clients, load.Client{Class: record.Stream, Connections: 1})
	}
	c.Clients = clients
	c.Targets = slices.DeleteFunc(slices.Clone(c.Targets), func(t load.Target) bool { return slices.Contains(t.Classes, record.Slow) })
	for i := range c.Targets {
		c.Targets[i].Weight = 1 // each is to be asked for soon
	}
	r := newRoute(v.run.Target.Replicas)
	session, err := agent.Start(ctx, v.cluster.DialContext, v.agent.Address, c, r.take)
	if err != nil {
		return err
	}
	select {
	case <-r.there:
		select {
		case <-r.done:
		case <-session.Done():
		case <-ctx.Done():
		case <-time.After(allPods):
			v.Say("only %d of %d pods have answered by now; the load begins all the same", r.count(), v.run.Target.Replicas)
		}
	case <-r.done:
	case <-session.Done():
	case <-ctx.Done():
	}
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stop()
	_, err = session.Stop(stopCtx)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mistake != "":
		return fmt.Errorf("a path of the Service %s is not answered as expected; correct the flags: %s", v.Service, r.mistake)
	case !r.routed:
		return fmt.Errorf("the Service %s does not answer as expected from inside the cluster, though its Deployment is ready; the last failure: %s", v.Service, r.last)
	}
	return err
}

// route is what is known of the way to the Service.
type route struct {
	pods int // that should answer

	mu         sync.Mutex
	there      chan struct{}   // closed when requests arrive
	done       chan struct{}   // closed when there is nothing more to learn
	routed     bool            // there is closed
	decided    bool            // done is closed
	seen       map[string]bool // pods that have answered; empty where none is named
	mistake    string
	successes  int                  // one after the other
	wrongSince map[string]time.Time // by path, until it is answered well
	last       string               // failure
}

func newRoute(pods int) *route {
	return &route{
		pods: pods, there: make(chan struct{}), done: make(chan struct{}),
		seen: map[string]bool{}, wrongSince: map[string]time.Time{}, last: "no request was sent",
	}
}

// count is how many pods have answered.
func (r *route) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// decide closes done. r.mu is held.
func (r *route) decide() {
	r.decided = true
	close(r.done)
}

// take takes in a request's fate.
func (r *route) take(q record.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decided {
		return
	}
	// That somebody answered is what counts here; whether a body is right, the
	// verdict says. An unexpected status, or a stream without an event, is another
	// path than the user meant.
	mistaken := q.Outcome == record.UnexpectedStatus || q.Class == record.Stream && q.Failed() && q.Events == 0
	if q.Status > 0 && !mistaken {
		delete(r.wrongSince, q.Path)
		if q.Pod != "" {
			r.seen[q.Pod] = true
		}
		if r.successes++; r.successes >= routeSuccesses && !r.routed {
			r.routed = true
			close(r.there)
		}
		if r.routed && (len(r.seen) == 0 || len(r.seen) >= r.pods) {
			r.decide()
		}
		return
	}
	r.successes = 0
	r.last = fmt.Sprintf("%s %s: %s: %s", q.Method, q.Path, q.Outcome, q.Detail)
	if q.Status == 0 {
		return // nobody did
	}
	if r.wrongSince[q.Path].IsZero() {
		r.wrongSince[q.Path] = q.End
	}
	if q.End.Sub(r.wrongSince[q.Path]) >= mistakenAfter {
		r.mistake = r.last
		r.decide()
	}
}
