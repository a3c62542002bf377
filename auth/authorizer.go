package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/internal/boundedcache"
)

// The defaults of Options, and what is not worth an option.
const (
	defaultTTL = 2 * time.Minute // as kube-apiserver's own for the tokens of webhooks
	// refusalTTL is short: somebody has just been granted a right, and waits.
	refusalTTL = 10 * time.Second
	// reviewTimeout bounds one question to the authority.
	reviewTimeout = 5 * time.Second
	// renewAgain is how long after a failure to renew a decision it is tried
	// again, while the decision still holds.
	renewAgain = 5 * time.Second

	// callers and strangers bound the tokens that are remembered: those that
	// are valid, and those that are not, apart, so that nobody can displace
	// the former by sending the latter.
	callers   = 16384
	strangers = 4096
)

// Options configure an Authorizer.
type Options struct {
	Reviewer Reviewer
	// Actions are all that Decide is asked about, by their index.
	Actions []Action
	// TTL is how long a decision is remembered; 0 for 2 minutes.
	TTL time.Duration
	// MaxReviews is how many questions may be under way at a time; 0 for 32.
	// Others wait a little; see ErrBusy.
	MaxReviews int
	// OnReview is told of each question: whether it was about a token or an
	// action, how long it took, and its outcome. It may be nil.
	OnReview func(what Review, took time.Duration, outcome Result, err error)
}

// A Review is a kind of question to the authority.
type Review int

const (
	ReviewToken  Review = iota // whom a token stands for
	ReviewAction               // what a caller may do
)

// An Authorizer decides about callers. All methods may be called concurrently.
type Authorizer struct {
	opts    Options
	secret  secret
	start   time.Time
	known   *boundedcache.Table[key, caller]
	refused *boundedcache.Table[key, refusal]
	reviews *reviews

	life       context.Context
	endLife    context.CancelFunc
	renewals   chan struct{} // bounds what goes on in the background
	background sync.WaitGroup
	mu         sync.Mutex // of closed: once it is set, nothing more begins in the background
	closed     bool
}

// caller is what is remembered of a valid token. Times are since Authorizer.start.
type caller struct {
	who     *Identity
	expires time.Duration
	renew   atomic.Int64            // when to ask again, ahead of expires
	grants  []atomic.Pointer[grant] // by the index of the action
}

// grant is what is remembered of a caller and an action.
type grant struct {
	allowed bool
	expires time.Duration
	renew   atomic.Int64
}

// refusal is what is remembered of a token that is not valid.
type refusal struct {
	expires time.Duration
	err     error
}

// The worth of an entry, where one must go: the time that it has left.
func callerWorth(c *caller) int64   { return int64(c.expires) }
func refusalWorth(r *refusal) int64 { return int64(r.expires) }

// New returns an Authorizer; Close ends it.
func New(o Options) (*Authorizer, error) {
	if o.Reviewer == nil || len(o.Actions) == 0 {
		return nil, errors.New("auth: Options.Reviewer and Options.Actions are required")
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.MaxReviews == 0 {
		o.MaxReviews = 32
	}
	if o.OnReview == nil {
		o.OnReview = func(Review, time.Duration, Result, error) {}
	}
	g := &Authorizer{
		opts: o, secret: newSecret(), start: time.Now(),
		known: boundedcache.New[key, caller](callers), refused: boundedcache.New[key, refusal](strangers), reviews: newReviews(o.MaxReviews),
		renewals: make(chan struct{}, o.MaxReviews),
	}
	g.life, g.endLife = context.WithCancel(context.Background())
	return g, nil
}

// Close ends the reviews under way and waits for those in the background. From
// then on what is not remembered is Unavailable.
func (a *Authorizer) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.endLife()
	a.background.Wait()
}

func (a *Authorizer) now() time.Duration { return a.at(time.Now()) }

func (a *Authorizer) at(t time.Time) time.Duration { return t.Sub(a.start) }

// A Caller is who has sent a token, for the time of a request.
type Caller struct {
	token []byte
	key   key
	at    time.Duration // when it was looked up
	known *caller       // nil if nothing valid is remembered
}

// Caller looks up a token. The result holds on to it.
func (a *Authorizer) Caller(token []byte) Caller {
	return a.caller(token, a.secret.key(token), a.now())
}

func (a *Authorizer) caller(token []byte, k key, at time.Duration) Caller {
	c := Caller{token: token, key: k, at: at}
	if k := a.known.Get(c.key); k != nil && at < k.expires {
		c.known = k
	}
	return c
}

// Known returns whom the token stands for, if that is remembered, else nil.
func (c *Caller) Known() *Identity {
	if c.known == nil {
		return nil
	}
	return c.known.who
}

// Decide says whether the caller may do the action of this index, as of when the
// caller was looked up: it is for the request at hand. It answers from memory or
// asks the authority; of those who ask the same at once, one asks for all.
//
// A decision that has lived for three quarters of its time is asked for anew in
// the background. So a token in use is never kept waiting, and an outage of the
// authority that is shorter than the last quarter is not noticed at all.
func (a *Authorizer) Decide(c *Caller, action int) Decision {
	if c.known != nil {
		if gr := c.known.grants[action].Load(); gr != nil && c.at < gr.expires {
			a.renewInTime(c, action, gr, c.at)
			return c.known.decision(gr, c.at)
		}
	}
	return a.review(c, action)
}

func (k *caller) decision(gr *grant, now time.Duration) Decision {
	d := Decision{
		Result: Forbidden, Who: k.who, Valid: min(k.expires, gr.expires) - now,
		Ask: time.Duration(min(k.renew.Load(), gr.renew.Load())) - now,
	}
	if gr.allowed {
		d.Result = Allowed
	}
	return d
}

// Remembered counts the valid tokens that are remembered, and the others.
func (a *Authorizer) Remembered() (valid, invalid int) {
	now := a.now()
	for k := range a.known.All() {
		if now < k.expires {
			valid++
		}
	}
	for r := range a.refused.All() {
		if now < r.expires {
			invalid++
		}
	}
	return valid, invalid
}
