// Package leader elects, by a Lease (coordination.k8s.io/v1), the one replica that writes:
// whoever holds the Lease leads.
//
// A [Candidate] campaigns: it waits until the Lease is free, takes it, renews it every
// RetryPeriod and gives it back at the end (run.go). How it reads and writes the Lease is
// in lease.go. The time from taking the Lease to losing it is a term, and each term has a
// token of its own.
//
// The protocol is that of client-go's tools/leaderelection, so both can compete for one
// Lease. A Candidate differs where a writer must be sure that it is the only one:
//
//   - It watches the Lease. A Lease that is released is taken at once, and candidates that
//     wait make no calls.
//   - It counts its term from before it sent the last renewal, not from the answer: others
//     may count from the instant at which the API server stored it.
//   - It stops leading as soon as it learns that another candidate leads, or that
//     RenewDeadline has passed. Then it campaigns again, for ever.
//
// Whether the Lease is free is judged by the clock of this process alone, from the time at
// which it last saw the Lease change. A wrong judgement does no harm, since each write of
// the Lease names the version that it replaces.
//
// A process can be suspended for any time between asking whether it leads and writing. So a
// writer must also make its write fail once a later term has written: see
// [Candidate.Fence]. Package configmap does it by the resourceVersion.
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

// The times of the election. They are those of Kubernetes' own components
// (k8s.io/component-base/config/v1alpha1, RecommendedDefaultLeaderElectionConfiguration).
const (
	// LeaseDuration is how long a lease that is not renewed keeps others away.
	LeaseDuration = 15 * time.Second
	// RenewDeadline is how long after its last renewal a leader may believe that it leads.
	// The difference to LeaseDuration allows for clocks that run at different speeds.
	RenewDeadline = 10 * time.Second
	// RetryPeriod is the time between two renewals, and the wait after one that failed.
	RetryPeriod = 2 * time.Second
)

// takeSpread is the time over which candidates spread their first try for a free Lease. All
// of them learn at the same instant that it is free; with the spread, most see that one has
// succeeded before it is their turn.
const takeSpread = 200 * time.Millisecond

// leaseTimeout bounds one call about the Lease, so that after a call that hangs there is
// time for another one within RenewDeadline.
const leaseTimeout = 4 * time.Second

// A Candidate campaigns on behalf of one replica.
type Candidate struct {
	client   kubernetes.Interface
	ns, name string
	identity string
	opts     Options
	log      *zap.Logger

	running atomic.Bool
	term    atomic.Pointer[term] // nil while this replica does not lead
	changed chan struct{}        // holds a token when something about the Lease has changed

	campaigning context.Context // ended by Release
	endCampaign context.CancelFunc

	mu       sync.Mutex
	seen     observation
	listing  int    // seen.count when the list under way began
	told     string // the holder that was logged last
	watchErr error  // why the Lease can't be followed now; nil if it can
	callErr  error  // why the last call to take, renew or release it failed; nil if it did not

	// These are used by the goroutine of Run only.
	number   int64 // of the last term
	failures cluster.FailureLog
}

// Options configure a Candidate. All are optional.
type Options struct {
	Logger *zap.Logger
	// The times; they default to the constants of these names. In the Lease, LeaseDuration
	// is rounded up to whole seconds.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// OnLead is called when this replica begins to lead and when it ends, in turn, by the
	// goroutine of Run. It must not block. Before it is called with false, Fence already
	// returns false.
	OnLead func(leading bool)
	// OnForbidden is called for each call that the API server has refused because a right
	// is missing. It is called by several goroutines.
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

// Identity returns a name for this process as a candidate: the name of the host, which is
// that of the pod, and something random, so that a restarted container is a new candidate.
func Identity() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	var b [6]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return cluster.Clean(host) + "_" + hex.EncodeToString(b[:])
}

// New returns a candidate for the Lease name in namespace. Each candidate needs an identity
// of its own; see Identity. client must have no overall timeout, which would end the watch.
// Nothing else should use it, so that a renewal never waits for other calls.
//
// It needs the rights to list, watch, create and update leases. Each may be limited to this
// Lease by resourceNames. That works for create as well, since the Lease is created by a
// PUT to its name, not by a POST.
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

// Identity returns the name of this candidate in the Lease.
func (c *Candidate) Identity() string { return c.identity }

// Release makes this replica give up the Lease, if it holds it, and never take it again,
// since the process is about to end. It returns at once; Run does the work.
func (c *Candidate) Release() { c.endCampaign() }

// Leads reports whether this replica leads, as far as it knows.
func (c *Candidate) Leads() bool { return c.term.Load() != nil }

// Fence reports whether this replica certainly holds the Lease now, and returns the token
// of its term. No other term has the same token, of this replica or another.
//
// A process can be suspended right after the call. So a writer must also make its write
// fail once a later term has written.
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
	// renewed is the time just before the last renewal was sent.
	renewed time.Time
}

// certain reports whether less than deadline has passed since the last renewal, by both
// clocks: the monotonic one stands still while a machine is suspended, and the wall clock
// may be set.
func (r *term) certain(deadline time.Duration) bool {
	now := time.Now()
	return now.Sub(r.renewed) < deadline && now.Round(0).Sub(r.renewed.Round(0)) < deadline
}

// Holder returns the identity that holds the Lease, as last seen; empty if nobody does.
func (c *Candidate) Holder() string {
	seen := c.lastSeen()
	return seen.holder()
}

// A noLeader is an error that says why nobody leads, in words fit for clients.
type noLeader string

func (e noLeader) Error() string  { return string(e) }
func (e noLeader) Public() string { return string(e) }

// Vacant returns why no replica leads; nil if one does. The error has a method Public,
// which returns a text for clients of this service.
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
