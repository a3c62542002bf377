package leader

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/follow"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// An observation is what is known of the Lease.
type observation struct {
	known bool
	lease *coordinationv1.Lease // nil if there is none; it must not be changed
	rv    string                // resourceVersion; of the deletion or list, if there is none
	at    time.Time             // when this version was first seen here
	// delay is for this version, how long to wait once the Lease is free.
	delay time.Duration
	count int // of observations
}

// holder is who holds the Lease, whether or not in time; empty if nobody does.
func (o *observation) holder() string {
	if o.lease == nil || o.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *o.lease.Spec.HolderIdentity
}

// end is when the Lease, held by somebody, ends if it is not renewed.
func (o *observation) end(normal time.Duration) time.Time {
	d := normal
	if s := o.lease.Spec.LeaseDurationSeconds; s != nil && *s > 0 {
		d = time.Duration(*s) * time.Second
	}
	return o.at.Add(d)
}

func (o *observation) held(now time.Time, normal time.Duration) bool {
	return o.holder() != "" && now.Before(o.end(normal))
}

// due is when identity may take the Lease.
func (o *observation) due(identity string, normal time.Duration) time.Time {
	switch o.holder() {
	case identity: // such as after an outage in which nobody else took it
		return o.at
	case "":
		return o.at.Add(o.delay)
	}
	return o.end(normal).Add(o.delay)
}

// observe takes note of the Lease, nil if there is none. It is ignored if it is
// older than what is known, unless it is what a list has found, and nothing was
// observed since that began, when count was this: a list gives what is, even if
// etcd has been set back to a backup and counts its versions anew. Otherwise count
// is -1.
func (c *Candidate) observe(lease *coordinationv1.Lease, rv string, count int) {
	c.mu.Lock()
	o := &c.seen
	if o.known && follow.OlderOrSame(rv, o.rv) && (count != o.count || rv == o.rv) {
		c.mu.Unlock()
		return
	}
	*o = observation{true, lease, rv, time.Now(), rand.N(takeSpread), o.count + 1} // #nosec G404 -- no secret
	holder, told := o.holder(), c.told
	c.told = holder
	c.mu.Unlock()
	if holder != told {
		c.tellHolder(holder)
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *Candidate) lastSeen() observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// leases is where the Lease is.
func (c *Candidate) leases() coordinationclient.LeaseInterface {
	return c.client.CoordinationV1().Leases(c.ns)
}

// follower follows the Lease. It costs the API server an event per replica for each renewal,
// and no calls.
func (c *Candidate) follower() *follow.Follower[*coordinationv1.Lease, *coordinationv1.LeaseList] {
	return &follow.Follower[*coordinationv1.Lease, *coordinationv1.LeaseList]{
		Kind: "lease", Name: c.name, Client: c.leases(), Timeout: leaseTimeout,
		Listing: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.listing = c.seen.count
		},
		Seen: func(lease *coordinationv1.Lease, version string, listed bool) {
			count := -1
			if listed {
				c.mu.Lock()
				count = c.listing
				c.mu.Unlock()
			}
			c.observe(lease, version, count)
		},
		Failed: func(err error) { c.note(&c.watchErr, err) }, Explain: c.explain, OnForbidden: c.opts.OnForbidden,
		Hopeless:     func(f *cluster.FailureLog) bool { return f.Right != nil && f.Lasts() },
		Log:          c.log,
		CannotFollow: "The lease cannot be followed; this replica does not learn who leads until it can",
		CannotWatch:  fmt.Sprintf("The lease cannot be watched; until it can, this replica looks every %s whether to take over", retry.Denied),
		CanFollow:    "The lease can be followed again",
	}
}

// refresh finds out what the Lease is now.
func (c *Candidate) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	count := c.lastSeen().count
	list, err := c.leases().List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, c.name).String()})
	if err != nil {
		return err
	}
	if len(list.Items) == 0 {
		c.observe(nil, list.ResourceVersion, count)
		return nil
	}
	c.observe(&list.Items[0], list.Items[0].ResourceVersion, count)
	return nil
}

// put writes the Lease in place of the version that it names, or creates it if it
// names none, and returns the time before that. stale means that there is another
// version: there, somebody else was faster.
func (c *Candidate) put(ctx context.Context, lease *coordinationv1.Lease) (sent time.Time, stale bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	sent = time.Now()
	lease.Spec.RenewTime = &metav1.MicroTime{Time: sent}
	got, err := c.leases().Update(ctx, lease, metav1.UpdateOptions{FieldManager: cluster.FieldManager})
	if err != nil {
		// A PUT that means to create, and finds one, lacks its resourceVersion.
		found := lease.ResourceVersion == "" && apierrors.IsInvalid(err)
		return sent, found || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err), err
	}
	c.observe(got, got.ResourceVersion, -1)
	return sent, false, nil
}

// claim is the Lease as this replica would have it, in place of what was seen.
func (c *Candidate) claim(seen observation) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.ns, Name: c.name, Labels: map[string]string{cluster.ManagedByLabel: cluster.FieldManager}}}
	if seen.lease != nil {
		// The UID goes with it: without it, a PUT to a Lease that was deleted since
		// would create it anew.
		lease = seen.lease.DeepCopy()
	}
	next := int32(min(c.next(seen), math.MaxInt32))
	seconds := int32(min(math.Ceil(c.opts.LeaseDuration.Seconds()), math.MaxInt32))
	lease.Spec.HolderIdentity = &c.identity
	lease.Spec.LeaseDurationSeconds = &seconds
	lease.Spec.LeaseTransitions = &next
	lease.Spec.AcquireTime = &metav1.MicroTime{Time: time.Now()}
	return lease
}

// errFaster: the Lease has changed, and what it is now has been observed.
var errFaster = errors.New("somebody was faster")

// next is the number of a term that follows what was seen. Each has one of its own,
// also when it is the same replica's as the last one, and when the Lease was deleted
// or changed by hand: it is part of the token.
func (c *Candidate) next(seen observation) int64 {
	last := c.number
	if seen.lease != nil && seen.lease.Spec.LeaseTransitions != nil {
		last = max(last, int64(*seen.lease.Spec.LeaseTransitions))
	}
	return last + 1
}

// take makes the Lease ours.
func (c *Candidate) take(ctx context.Context, seen observation) error {
	lease, number := c.claim(seen), c.next(seen)
	verb := "update"
	if seen.lease == nil {
		verb = "create"
	}
	sent, stale, err := c.put(ctx, lease)
	if stale {
		if err := c.refresh(ctx); c.failed(ctx, cluster.VerbList, err) {
			return err
		}
		if c.lastSeen().lease != nil {
			return errFaster
		}
		// It was refused for another reason, as by a policy; or it is gone again.
	}
	if c.failed(ctx, verb, err) {
		return err
	}
	c.number = number
	c.term.Store(&term{fmt.Sprintf("%s/%d", c.identity, number), sent})
	return nil
}

// renew puts the end of the Lease off. After a conflict with somebody who changed
// something else about it, soon is true.
func (c *Candidate) renew(ctx context.Context, r *term) (soon bool) {
	seen := c.lastSeen()
	sent, stale, err := c.put(ctx, seen.lease.DeepCopy())
	if stale {
		return !c.failed(ctx, cluster.VerbList, c.refresh(ctx))
	}
	if !c.failed(ctx, "update", err) {
		c.term.Store(&term{r.token, sent})
	}
	return false
}

// release gives the Lease back, if it is ours, even though ctx has ended.
func (c *Candidate) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTimeout)
	defer cancel()
	for {
		seen := c.lastSeen()
		if seen.holder() != c.identity {
			return
		}
		lease, nobody, second := seen.lease.DeepCopy(), "", int32(1)
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &nobody, &second
		_, stale, err := c.put(ctx, lease)
		if stale {
			// As when a renewal was under way that nobody waited for.
			err = c.refresh(ctx)
			if err == nil {
				continue
			}
		}
		c.failed(ctx, "update", err)
		return
	}
}
