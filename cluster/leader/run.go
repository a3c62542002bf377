package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// Run campaigns until ctx ends, and then gives up the Lease. It may be called once. It is
// no error to lose the Lease.
func (c *Candidate) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("leader: Candidate.Run was called twice")
	}
	var wg sync.WaitGroup
	follower := c.follower()
	wg.Go(func() { follower.Run(ctx) })
	campaigning, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(c.campaigning, cancel)()
	defer cancel()
	for c.campaign(campaigning) {
		c.lead(campaigning)
	}
	// Also if it does not lead: its last try may have succeeded without an answer.
	c.release(ctx)
	wg.Wait()
	return nil
}

// campaign waits until the Lease is free and takes it. It returns false if ctx has ended.
func (c *Candidate) campaign(ctx context.Context) bool {
	var notBefore time.Time // after a failure
	for ctx.Err() == nil {
		seen := c.lastSeen()
		due := seen.due(c.identity, c.opts.LeaseDuration)
		if due.Before(notBefore) {
			due = notBefore
		}
		if seen.known && !time.Now().Before(due) {
			err := c.take(ctx, seen)
			if err == nil {
				return true
			}
			notBefore = time.Now().Add(c.pause(err))
			continue
		}
		timer := time.NewTimer(time.Until(due))
		free := timer.C
		if !seen.known {
			free = nil
		}
		select {
		case <-free:
		case <-c.changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

// pause returns how long to wait after a try that failed.
func (c *Candidate) pause(err error) time.Duration {
	switch {
	case errors.Is(err, errFaster):
		return 0 // it is known when the Lease will be free
	case apierrors.IsForbidden(err) && c.failures.Lasts():
		return retry.Jitter(retry.Denied, 0.1)
	}
	return retry.Jitter(c.opts.RetryPeriod, 0.2)
}

// lead keeps the Lease for as long as it can, or until ctx ends.
func (c *Candidate) lead(ctx context.Context) {
	first := c.term.Load()
	c.log.Info("This replica leads: it writes the ConfigMap from now on", zap.String("reign", first.token))
	c.opts.OnLead(true)
	why := c.keep(ctx)
	c.term.Store(nil) // Fence must be false before OnLead(false)
	c.opts.OnLead(false)
	if ctx.Err() != nil {
		c.release(ctx)
	}
	c.log.Info("This replica leads no more", zap.String("reign", first.token), zap.String("why", why))
}

// keep renews the Lease until the term ends, and returns why it has ended.
func (c *Candidate) keep(ctx context.Context) (why string) {
	next := c.term.Load().renewed.Add(c.opts.RetryPeriod)
	for {
		r := c.term.Load()
		end := r.renewed.Add(c.opts.RenewDeadline)
		if next.Before(end) {
			end = next
		}
		timer := time.NewTimer(time.Until(end))
		select {
		case <-timer.C:
		case <-c.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		seen := c.lastSeen()
		switch {
		case ctx.Err() != nil:
			return "it is about to end"
		case !r.certain(c.opts.RenewDeadline):
			return fmt.Sprintf("the lease could not be renewed for %s", c.opts.RenewDeadline)
		case seen.lease == nil:
			return "the lease was deleted"
		case seen.holder() != c.identity:
			return "the lease is not this replica's any more"
		case time.Now().Before(next):
			continue
		}
		// No call may last longer than the term.
		call, cancel := context.WithDeadline(ctx, r.renewed.Add(c.opts.RenewDeadline))
		soon := c.renew(call, r)
		cancel()
		next = time.Now().Add(c.opts.RetryPeriod)
		if soon {
			next = time.Now().Add(takeSpread)
		}
	}
}

// failed records the outcome of a call, and reports whether it has failed.
func (c *Candidate) failed(ctx context.Context, verb string, err error) bool {
	if err == nil {
		c.note(&c.callErr, nil)
		if c.failures.Works(verb) {
			c.log.Info("The lease can be used again")
		}
		return false
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return true // nobody waited for the answer
	}
	err = c.explain(verb, err)
	c.note(&c.callErr, err)
	tell, right := c.failures.Note(verb, err), c.failures.Right
	if right != nil {
		c.opts.OnForbidden(right)
	}
	if tell {
		level := zap.WarnLevel
		if right != nil {
			level = zap.ErrorLevel // a missing right does not come back by itself
		}
		c.log.Log(level, "The lease cannot be taken, renewed or released; this replica cannot lead until it can", zap.Error(err))
	}
	return true
}

// note sets callErr or watchErr; nil if the call or watch works.
func (c *Candidate) note(kept *error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*kept = err
}

// explain returns the error of a call as a sentence that says what to do.
func (c *Candidate) explain(verb string, err error) error {
	if apierrors.IsNotFound(err) {
		return cluster.NoNamespace(c.ns, err)
	}
	return cluster.Call{Verbs: verb, Resource: "leases", Name: c.name, Namespace: c.ns, Host: cluster.Host(c.client.CoordinationV1().RESTClient())}.Explain(err)
}

func (c *Candidate) tellHolder(holder string) {
	switch holder {
	case c.identity:
	case "":
		c.log.Info("No replica holds the lease")
	default:
		c.log.Info("Another replica leads", zap.String("leader", cluster.Clean(holder)))
	}
}
