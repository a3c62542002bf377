package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Run campaigns until ctx ends, and gives the Lease back then. It is
// called once; a Lease that is lost is no error.
func (l *Leader) Run(ctx context.Context) error {
	if !l.running.CompareAndSwap(false, true) {
		return errors.New("cluster: Leader.Run was called twice")
	}
	var wg sync.WaitGroup
	wg.Go(func() { newLeaseWatch(l).run(ctx) })
	campaigning, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(l.campaigning, cancel)()
	defer cancel()
	for l.campaign(campaigning) {
		l.lead(campaigning)
	}
	// Even if it does not lead: the answer to its last try may not have come.
	l.release(ctx)
	wg.Wait()
	return nil
}

// campaign waits until the Lease is free and takes it; false if ctx has ended.
func (l *Leader) campaign(ctx context.Context) bool {
	var notBefore time.Time // after a failure
	for ctx.Err() == nil {
		seen := l.lastSeen()
		due := seen.due(l.identity, l.opts.LeaseDuration)
		if due.Before(notBefore) {
			due = notBefore
		}
		if seen.known && !time.Now().Before(due) {
			err := l.take(ctx, seen)
			if err == nil {
				return true
			}
			notBefore = time.Now().Add(l.pause(err))
			continue
		}
		timer := time.NewTimer(time.Until(due))
		free := timer.C
		if !seen.known {
			free = nil
		}
		select {
		case <-free:
		case <-l.changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

// pause is how long to wait after a try that failed.
func (l *Leader) pause(err error) time.Duration {
	switch {
	case errors.Is(err, errFaster):
		return 0 // and it is known until when
	case apierrors.IsForbidden(err) && l.failures.lasts():
		return jitter(deniedRetry, 0.1)
	}
	return jitter(l.opts.RetryPeriod, 0.2)
}

// lead holds the Lease for as long as it can, and until ctx ends.
func (l *Leader) lead(ctx context.Context) {
	first := l.term.Load()
	l.log.Info("This replica leads: it writes the ConfigMap from now on", zap.String("reign", first.token))
	l.opts.OnLead(true)
	why := l.keep(ctx)
	l.term.Store(nil) // before anything else
	l.opts.OnLead(false)
	if ctx.Err() != nil {
		l.release(ctx)
	}
	l.log.Info("This replica leads no more", zap.String("reign", first.token), zap.String("why", why))
}

// keep renews the Lease until that is at an end, and returns why.
func (l *Leader) keep(ctx context.Context) (why string) {
	next := l.term.Load().renewed.Add(l.opts.RetryPeriod)
	for {
		r := l.term.Load()
		end := r.renewed.Add(l.opts.RenewDeadline)
		if next.Before(end) {
			end = next
		}
		timer := time.NewTimer(time.Until(end))
		select {
		case <-timer.C:
		case <-l.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		seen := l.lastSeen()
		switch {
		case ctx.Err() != nil:
			return "it is about to end"
		case !r.certain(l.opts.RenewDeadline):
			return fmt.Sprintf("the lease could not be renewed for %s", l.opts.RenewDeadline)
		case seen.lease == nil:
			return "the lease was deleted"
		case seen.holder() != l.identity:
			return "the lease is not this replica's any more"
		case time.Now().Before(next):
			continue
		}
		// No call outlasts the term.
		call, cancel := context.WithDeadline(ctx, r.renewed.Add(l.opts.RenewDeadline))
		soon := l.renew(call, r)
		cancel()
		next = time.Now().Add(l.opts.RetryPeriod)
		if soon {
			next = time.Now().Add(takeSpread)
		}
	}
}

// failed takes note of the outcome of a call, and reports whether it is a failure.
func (l *Leader) failed(ctx context.Context, verb string, err error) bool {
	if err == nil {
		l.noteCall(nil)
		if l.failures.works(verb) {
			l.log.Info("The lease can be used again")
		}
		return false
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return true // we did not wait for it
	}
	err = l.explain(verb, err)
	l.noteCall(err)
	tell, right := l.failures.note(verb, err), l.failures.right
	if right != nil {
		l.opts.OnForbidden(right)
	}
	if tell {
		level := zap.WarnLevel
		if right != nil {
			level = zap.ErrorLevel // it does not pass by itself
		}
		l.log.Log(level, "The lease cannot be taken, renewed or released; this replica cannot lead until it can", zap.Error(err))
	}
	return true
}

func (l *Leader) noteCall(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.callErr = err
}

func (l *Leader) noteWatch(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchErr = err
}

// explain puts the failure of a call into a sentence that says what to do.
func (l *Leader) explain(verb string, err error) error {
	if apierrors.IsNotFound(err) {
		return &explained{fmt.Sprintf("the namespace %q does not exist; create it, or name another one (%s)", l.ns, clean(err.Error())), errNoNamespace, err}
	}
	return call{verb, "leases", l.name, l.ns, hostOf(l.client.CoordinationV1().RESTClient())}.explain(err)
}

func (l *Leader) tellHolder(holder string) {
	switch holder {
	case l.identity:
	case "":
		l.log.Info("No replica holds the lease")
	default:
		l.log.Info("Another replica leads", zap.String("leader", clean(holder)))
	}
}
