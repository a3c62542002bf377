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

// A new Service can be reached once routeSuccesses requests in a row have succeeded.
const (
	routeTimeout   = 30 * time.Second
	routeRate      = 20.0 // requests per second
	routeSuccesses = 30
	// mistakenAfter is how long a path may give wrong answers before this counts as a
	// mistake in the flags.
	mistakenAfter = 4 * time.Second
	// allPods bounds the wait for the other pods once one has answered.
	allPods = 10 * time.Second
)

// awaitRoute waits until every path gives the expected answer from the load generator's
// node, and from each pod if responses name them.
//
// The node has no rules yet for a Service that was just made, and connections to it are
// refused. This says nothing about the target, and must not count. If the node knows
// only the first pod, all streams would be opened on that one, and no other pod would
// have any when it stops.
//
// A path that gives a wrong answer is a mistake in the flags, not a lost request. It is
// returned as an error.
func (v *verification) awaitRoute(ctx context.Context, c load.Config) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	clients := []load.Client{{Class: record.New, Rate: routeRate}}
	if slices.Contains(v.Traffic.classes(), record.Stream) {
		clients = append(clients, load.Client{Class: record.Stream, Connections: 1})
	}
	c.Clients = clients
	c.Targets = slices.DeleteFunc(slices.Clone(c.Targets), func(t load.Target) bool { return slices.Contains(t.Classes, record.Slow) })
	for i := range c.Targets {
		c.Targets[i].Weight = 1 // so that each is soon requested
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
	if spoken := v.speaks(ctx, c, r); spoken != "" {
		return fmt.Errorf("the Service %s does not speak %s, as it was asked; it does speak %s: correct the flags --protocol and --tls", v.Service, v.Traffic.Protocol.spoken(), spoken)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mistake != "":
		return fmt.Errorf("a path of the Service %s is not answered as expected; correct the flags: %s", v.Service, r.mistake)
	case !r.routed && err != nil && ctx.Err() == nil:
		return fmt.Errorf("the load for the Service %s can't be sent: %w", v.Service, err)
	case !r.routed:
		return fmt.Errorf("the Service %s does not answer as expected from inside the cluster, though its pods are ready; the last failure: %s", v.Service, r.last)
	}
	return err
}

// A route records how requests reach the Service.
type route struct {
	pods int // how many should answer

	mu         sync.Mutex
	there      chan struct{}   // closed when the Service can be reached
	done       chan struct{}   // closed when nothing more can be learnt
	routed     bool            // there is closed
	decided    bool            // done is closed
	seen       map[string]bool // pods that have answered; empty if responses name none
	mistake    string
	successes  int                  // in a row
	wrongSince map[string]time.Time // by path, until it gives the expected answer
	last       string               // the last failure
}

func newRoute(pods int) *route {
	return &route{
		pods: pods, there: make(chan struct{}), done: make(chan struct{}),
		seen: map[string]bool{}, wrongSince: map[string]time.Time{}, last: "no request was sent",
	}
}

// count returns the number of pods that have answered.
func (r *route) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// decide closes done. r.mu must be held.
func (r *route) decide() {
	r.decided = true
	close(r.done)
}

// take records the outcome of a request.
func (r *route) take(q record.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.decided {
		return
	}
	// Any answer shows that there is a route; whether a body is right is for the
	// verdict. An unexpected status, or a stream without an event, means that the path
	// is not the one that the user meant.
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
		return // nobody answered
	}
	if r.wrongSince[q.Path].IsZero() {
		r.wrongSince[q.Path] = q.End
	}
	if q.End.Sub(r.wrongSince[q.Path]) >= mistakenAfter {
		r.mistake = r.last
		r.decide()
	}
}
