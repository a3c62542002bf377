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

// An observation is what is known about the Lease.
type observation struct {
	known bool
	lease *coordinationv1.Lease // nil if there is none; it must not be changed
	rv    string                // resourceVersion; of the deletion or the list if there is no Lease
	at    time.Time             // when this version was first seen here
	// delay is how long to wait once this version is free, see takeSpread.
	delay time.Duration
	count int // of observations
}

// holder returns the identity in the Lease, even if its time is over; empty for none.
func (o *observation) holder() string {
	if o.lease == nil || o.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *o.lease.Spec.HolderIdentity
}

// end returns when the Lease, which somebody holds, ends if it is not renewed. normal is
// its duration if it names none.
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

// due returns when identity may take the Lease.
func (o *observation) due(identity string, normal time.Duration) time.Time {
	switch o.holder() {
	case identity: // ours already, as after an outage in which nobody else took it
		return o.at
	case "":
		return o.at.Add(o.delay)
	}
	return o.end(normal).Add(o.delay)
}

// observe records a version of the Lease; nil if there is none. An older version than the
// known one is ignored, except from a list that began after the last observation: a list
// shows what there is, even if etcd was restored from a backup and its versions go on from
// there. count is the number of observations when the list began; -1 if there was no list.
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

// leases returns the client for Leases in the namespace.
func (c *Candidate) leases() coordinationclient.LeaseInterface {
	return c.client.CoordinationV1().Leases(c.ns)
}

// follower returns what watches the Lease. It costs the API server an event per replica for
// each renewal, and no calls.
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

// refresh lists the Lease and observes the result.
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

// put writes the Lease in place of the version that it names, or creates it if it names
// none. sent is the time just before. stale means that the Lease now has another version:
// somebody else was faster.
func (c *Candidate) put(ctx context.Context, lease *coordinationv1.Lease) (sent time.Time, stale bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	sent = time.Now()
	lease.Spec.RenewTime = &metav1.MicroTime{Time: sent}
	got, err := c.leases().Update(ctx, lease, metav1.UpdateOptions{FieldManager: cluster.FieldManager})
	if err != nil {
		// A PUT that should create the Lease lacks the resourceVersion of one that exists.
		found := lease.ResourceVersion == "" && apierrors.IsInvalid(err)
		return sent, found || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err), err
	}
	c.observe(got, got.ResourceVersion, -1)
	return sent, false, nil
}

// claim returns a Lease with this replica as its holder, to replace the one that was seen.
func (c *Candidate) claim(seen observation) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.ns, Name: c.name, Labels: map[string]string{cluster.ManagedByLabel: cluster.FieldManager}}}
	if seen.lease != nil {
		// This keeps the UID, without which a PUT would create the Lease again if it has
		// been deleted since.
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

// errFaster means that somebody else has changed the Lease, and that this was observed.
var errFaster = errors.New("somebody was faster")

// next returns the number of a term that follows what was seen. It is part of the token, so
// no two terms have the same, even if this replica also had the last one, or the Lease was
// deleted or changed by hand.
func (c *Candidate) next(seen observation) int64 {
	last := c.number
	if seen.lease != nil && seen.lease.Spec.LeaseTransitions != nil {
		last = max(last, int64(*seen.lease.Spec.LeaseTransitions))
	}
	return last + 1
}

// take makes this replica the holder of the Lease, in a new term.
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
		// It was refused for another reason, such as a policy; or the Lease is gone again.
	}
	if c.failed(ctx, verb, err) {
		return err
	}
	c.number = number
	c.term.Store(&term{fmt.Sprintf("%s/%d", c.identity, number), sent})
	return nil
}

// renew renews the Lease. It returns true for soon after a conflict with somebody who
// changed something else about the Lease: then it should be tried again at once.
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

// release gives up the Lease if this replica holds it, even if ctx has ended.
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
			// A renewal may have been under way that nobody waited for.
			err = c.refresh(ctx)
			if err == nil {
				continue
			}
		}
		c.failed(ctx, "update", err)
		return
	}
}
