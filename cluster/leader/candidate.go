// Package leader agrees on which of several replicas writes, by a Lease
// (coordination.k8s.io/v1): whoever holds it leads.
//
// A [Candidate] campaigns: it waits until the Lease is free, takes it, renews it every
// RetryPeriod and gives it back at the end (run.go). What it reads of the Lease and writes to
// it is in lease.go. The time from taking the Lease to losing it is a term, and each has a
// token of its own.
//
// It speaks the protocol of client-go's tools/leaderelection, with which it shares a Lease
// well, but differs in what a writer that must never be in conflict needs:
//
//   - It follows the Lease by a watch. A Lease that is released is taken at once, not at the
//     next look, and those who wait make no calls.
//   - It dates its own renewals from before the request, as others may count from the instant
//     at which the API server stored it, not from the answer.
//   - It stops leading the moment it learns that somebody else does, or that RenewDeadline has
//     passed; it then campaigns again, for ever.
//
// Whether the Lease is free is judged by this process's clock alone, by the time at which it
// saw the Lease change last. To judge wrongly does no harm: each write of the Lease names the
// version that it replaces.
//
// A process can be stopped for any time between asking whether it leads and writing. So
// whoever writes also makes the write fail once a later term has written: see
// [Candidate.Fence], and package configmap, which does it by the resourceVersion.
package leader

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
)

// The times of the election, those of Kubernetes' own components
// (k8s.io/component-base/config/v1alpha1, RecommendedDefaultLeaderElectionConfiguration).
const (
	// LeaseDuration is how long a lease that is not renewed keeps others away.
	LeaseDuration = 15 * time.Second
	// RenewDeadline is how long a leader that cannot renew its lease takes it for
	// its own. What is left to LeaseDuration is for clocks of different speed.
	RenewDeadline = 10 * time.Second
	// RetryPeriod is the time between two renewals, and after one that failed.
	RetryPeriod = 2 * time.Second
)

// takeSpread is the time over which candidates spread their first try for a lease
// that is free. All of them learn of it at the same instant; the first one to
// succeed is seen by the others before their turn.
const takeSpread = 200 * time.Millisecond

// leaseTimeout bounds one call about the lease, so that a call that hangs leaves
// time for another one within RenewDeadline.
const leaseTimeout = 4 * time.Second

// A Candidate campaigns for one replica.
type Candidate struct {
	client   kubernetes.Interface
	ns, name string
	identity string
	opts     Options
	log      *zap.Logger

	running atomic.Bool
	term    atomic.Pointer[term] // nil while this replica does not lead
	changed chan struct{}        // something new about the Lease

	campaigning context.Context // ends by Release
	endCampaign context.CancelFunc

	mu       sync.Mutex
	seen     observation
	listing  int    // count of observations when the list under way began
	told     string // the holder that was logged last
	watchErr error  // why the Lease is not followed now
	callErr  error  // why it could not be taken or renewed

	// Of the goroutine of Run.
	number   int64 // of its last term
	failures cluster.FailureLog
}

// Options tune a Candidate. All are optional.
type Options struct {
	Logger *zap.Logger
	// The times; default the constants of these names. LeaseDuration is rounded up
	// to whole seconds in the Lease.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// OnLead is told when this replica begins to lead and when it ends, in turn,
	// from the goroutine of Run, and must not block. Fence has said no before
	// OnLead says false.
	OnLead func(leading bool)
	// OnForbidden is told of each call that the API server refused for want of a
	// right. It is called from several goroutines.
	OnForbidden func(*cluster.MissingRight)
}

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.LeaseDuration = cmp.Or(o.LeaseDuration, LeaseDuration)
	o.RenewDeadline = cmp.Or(o.RenewDeadline, RenewDeadline)
	o.RetryPeriod = cmp.Or(o.RetryPeriod, RetryPeriod)
	if o.OnLead == nil {
		o.OnLead = func(bool) {}
	}
	if o.OnForbidden == nil {
		o.OnForbidden = func(*cluster.MissingRight) {}
	}
}

// Identity returns a name for this process as a candidate: the host's name, which
// is the pod's, and something random, so that a container that was started anew
// in its pod is another candidate.
func Identity() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	var b [6]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand)
	return cluster.Clean(host) + "_" + hex.EncodeToString(b[:])
}

// New returns a candidate for the Lease name in namespace. identity must be
// another one for each candidate; see Identity. client must have no overall
// timeout, which would end the watch, and had better be none that others use:
// a renewal must not wait for their calls.
//
// The rights it needs are list, watch, create and update on leases, and each may
// be limited to this one by resourceNames. That holds for create too, as the Lease
// is created by a PUT to its name (a POST would not).
func New(client kubernetes.Interface, namespace, name, identity string, opts Options) *Candidate {
	opts.defaults()
	c := &Candidate{
		client: client, ns: namespace, name: name, identity: identity, opts: opts,
		log:     opts.Logger.With(zap.String("lease", namespace+"/"+name)),
		changed: make(chan struct{}, 1),
	}
	c.campaigning, c.endCampaign = context.WithCancel(context.Background())
	return c
}

// Identity is what the Lease calls this candidate.
func (c *Candidate) Identity() string { return c.identity }

// Release makes this replica give the Lease back, if it holds it, and never take it
// again: it is about to end. It returns at once; Run does it.
func (c *Candidate) Release() { c.endCampaign() }

// Leads reports whether this replica leads, so far as it knows.
func (c *Candidate) Leads() bool { return c.term.Load() != nil }

// Fence reports whether the Lease is certainly held by this replica now, and the
// token of its term: no other term, of this or another replica, has the same.
//
// A process can be stopped right after it has asked. So whoever writes must also
// make sure that the write fails once a later term has written.
func (c *Candidate) Fence() (token string, ok bool) {
	r := c.term.Load()
	if r == nil || !r.certain(c.opts.RenewDeadline) {
		return "", false
	}
	return r.token, true
}

// A term is the time from taking the Lease to losing it or giving it back.
type term struct {
	token string
	// renewed is the time before the last renewal was sent.
	renewed time.Time
}

// certain reports whether less than deadline has passed since the last renewal. It
// must be so by both clocks: the monotonic one stands still while a machine is
// suspended, and the other one may be set.
func (r *term) certain(deadline time.Duration) bool {
	now := time.Now()
	return now.Sub(r.renewed) < deadline && now.Round(0).Sub(r.renewed.Round(0)) < deadline
}

// Holder is who holds the Lease, as last seen; empty if nobody does.
func (c *Candidate) Holder() string {
	seen := c.lastSeen()
	return seen.holder()
}

// A noLeader says why nobody leads. It is fit for clients.
type noLeader string

func (e noLeader) Error() string  { return string(e) }
func (e noLeader) Public() string { return string(e) }

// Vacant returns why no replica leads, nil if one does. What it says is fit for
// clients of this service (it has a method Public).
func (c *Candidate) Vacant() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cause := c.callErr
	if cause == nil {
		cause = c.watchErr
	}
	right, _ := errors.AsType[*cluster.MissingRight](cause)
	switch {
	case c.Leads(), c.seen.held(time.Now(), c.opts.LeaseDuration):
		return nil
	case right != nil:
		return fmt.Errorf("no replica leads: %w", right)
	case !c.seen.known:
		return noLeader(fmt.Sprintf("it is not known yet which replica leads: the lease %s/%s has not been read", c.ns, c.name))
	case cause != nil:
		return noLeader(fmt.Sprintf("no replica holds the lease %s/%s, and the Kubernetes API can't be used to take it; the service's log says more", c.ns, c.name))
	case c.campaigning.Err() != nil:
		return noLeader("no replica leads, and this one is about to end")
	}
	return noLeader(fmt.Sprintf("no replica holds the lease %s/%s yet; one takes it in a moment", c.ns, c.name))
}
