package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/internal/boundedcache"
)

// Defaults of Options, and bounds that are not options.
const (
	defaultTTL = 2 * time.Minute // as kube-apiserver's for tokens checked by a webhook
	// refusalTTL is short: somebody who has just been granted a right is waiting.
	refusalTTL = 10 * time.Second
	// reviewTimeout bounds one question to the authority.
	reviewTimeout = 5 * time.Second
	// renewAgain is the pause after an attempt to renew a decision has failed, while the
	// decision still holds.
	renewAgain = 5 * time.Second

	// callers and strangers bound the numbers of valid and of invalid tokens that are
	// remembered. They are kept apart, so that nobody can displace valid tokens by
	// sending invalid ones.
	callers   = 16384
	strangers = 4096
)

// Options configure an Authorizer.
type Options struct {
	Reviewer Reviewer
	// Actions lists all actions that Decide can be asked about; their indexes name them.
	Actions []Action
	// TTL is how long a decision is remembered. Zero means 2 minutes.
	TTL time.Duration
	// MaxReviews bounds the number of questions under way. Zero means 32. Further
	// questions wait for a short time; see ErrBusy.
	MaxReviews int
	// OnReview is called after each question, with its kind, how long it took, and its
	// outcome. It may be nil.
	OnReview func(what Review, took time.Duration, outcome Result, err error)
}

// A Review is a kind of question to the authority.
type Review int

// The kinds of questions.
const (
	ReviewToken  Review = iota // which caller a token stands for
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
	renewals   chan struct{} // bounds the renewals in the background
	background sync.WaitGroup
	mu         sync.Mutex // guards closed; once that is set, no further renewal starts
	closed     bool
}

// caller is what is remembered of a valid token. Times are since Authorizer.start.
type caller struct {
	who     *Identity
	expires time.Duration
	renew   atomic.Int64            // when to ask again, ahead of expires
	grants  []atomic.Pointer[grant] // by the index of the action
}

// caller is what is remembered about a valid token. Times count from Authorizer.start.
type grant struct {
	allowed bool
	expires time.Duration
	renew   atomic.Int64
}

// refusal is what is remembered about a token that is not valid.
type refusal struct {
	expires time.Duration
	err     error
}

// When a set of a table is full, the entry with the least time left is dropped.
func callerWorth(c *caller) int64   { return int64(c.expires) }
func refusalWorth(r *refusal) int64 { return int64(r.expires) }

// New returns an Authorizer. Close stops it.
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

// Close cancels the reviews under way and waits for those in the background. From then
// on, whatever is not remembered is Unavailable.
func (a *Authorizer) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.endLife()
	a.background.Wait()
}

func (a *Authorizer) now() time.Duration { return a.at(time.Now()) }

func (a *Authorizer) at(t time.Time) time.Duration { return t.Sub(a.start) }

// A Caller is the sender of one request, as known from its token.
type Caller struct {
	token []byte
	key   key
	at    time.Duration // when it was looked up
	known *caller       // nil if no valid token is remembered
}

// Caller looks up a token. The result refers to token, which must not change while the
// result is in use.
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

// Known returns the identity that the token stands for; nil if none is remembered.
func (c *Caller) Known() *Identity {
	if c.known == nil {
		return nil
	}
	return c.known.who
}

// Recall returns what Decide would, if the caller may do the action and that is remembered;
// else false. It never waits.
func (a *Authorizer) Recall(c *Caller, action int) (Decision, bool) {
	if c.known == nil {
		return Decision{}, false
	}
	gr := c.known.grants[action].Load()
	if gr == nil || !gr.allowed || c.at >= gr.expires {
		return Decision{}, false
	}
	a.renewInTime(c, action, gr, c.at)
	return c.known.decision(gr, c.at), true
}

// Decide decides whether the caller may do the action with this index, as of the time
// when the caller was looked up. It answers from memory or asks the authority. Of several
// callers that need the same answer at once, one asks for all.
//
// After three quarters of its time a decision is renewed in the background. So a token in
// use never waits, and an outage of the authority that is shorter than the last quarter
// goes unnoticed.
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

// Remembered returns the numbers of valid and of invalid tokens that are remembered.
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
