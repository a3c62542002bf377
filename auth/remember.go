package auth

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"
)

// wholeCaller stands in for the index of an action in a question about which caller a
// token stands for.
const wholeCaller = -1

// review asks the authority for whatever is not remembered.
func (a *Authorizer) review(c *Caller, action int) Decision {
	now := a.now()
	known := a.known.Get(c.key)
	if known == nil || now >= known.expires {
		if r := a.refused.Get(c.key); r != nil && now < r.expires {
			return Decision{Result: Unauthenticated, Valid: r.expires - now, Ask: r.expires - now}
		}
		var err error
		known, err = a.reviews.caller(c.key, func() (*caller, error) { return a.authenticate(c.key, string(c.token), false) })
		switch {
		case errors.Is(err, ErrInvalidToken):
			return Decision{Result: Unauthenticated, Valid: refusalTTL, Ask: refusalTTL}
		case err != nil:
			return Decision{Err: err}
		}
	}
	if gr := known.grants[action].Load(); gr != nil && a.now() < gr.expires {
		return known.decision(gr, a.now())
	}
	gr, err := a.reviews.grant(c.key, action, func() (*grant, error) { return a.authorize(known, action) })
	if err != nil {
		return Decision{Who: known.who, Err: err}
	}
	return known.decision(gr, a.now())
}

// authenticate asks which caller the token stands for, and remembers the answer. Unless
// renew is set, it returns an answer that is remembered and still holds.
func (a *Authorizer) authenticate(k key, token string, renew bool) (*caller, error) {
	release, err := a.reviews.begin(a.life)
	if err != nil {
		return nil, err
	}
	defer release()
	old := a.known.Get(k)
	if old != nil && !renew && a.now() < old.expires {
		return old, nil // another caller asked while this one waited
	}
	ctx, cancel := context.WithTimeout(a.life, reviewTimeout)
	defer cancel()
	asked := a.now()
	who, err := a.opts.Reviewer.Authenticate(ctx, token)
	outcome := Allowed
	switch {
	case errors.Is(err, ErrInvalidToken):
		outcome = Unauthenticated
	case err != nil:
		outcome = Unavailable
	}
	a.opts.OnReview(ReviewToken, a.now()-asked, outcome, err)
	switch outcome {
	case Unauthenticated:
		a.refused.Put(k, &refusal{expires: asked + min(refusalTTL, a.opts.TTL), err: err}, refusalWorth)
		a.known.Delete(k)
		return nil, err
	case Unavailable:
		return nil, err
	}
	fresh := &caller{who: who, expires: asked + a.lifetime(token)}
	fresh.renew.Store(int64(renewAt(asked, fresh.expires)))
	if old != nil && reflect.DeepEqual(old.who, who) {
		// Shared, not copied: a grant that is being renewed must not be lost.
		fresh.who, fresh.grants = old.who, old.grants
	} else {
		fresh.grants = make([]atomic.Pointer[grant], len(a.opts.Actions))
	}
	a.known.Put(k, fresh, callerWorth)
	return fresh, nil
}

// lifetime returns how long the decision about a valid token is remembered: never beyond
// the token's own end. If that end has passed by the clock of this machine, the
// authority's clock, which accepted the token, counts.
func (a *Authorizer) lifetime(token string) time.Duration {
	ttl := a.opts.TTL
	if end, ok := expiry(token); ok {
		ttl = min(ttl, max(time.Until(end), time.Second))
	}
	return ttl
}

// renewAt returns the time three quarters of the way from asked to expires.
func renewAt(asked, expires time.Duration) time.Duration {
	return asked + (expires-asked)/4*3
}

// authorize asks whether the caller may do this and remembers the answer.
func (a *Authorizer) authorize(k *caller, action int) (*grant, error) {
	release, err := a.reviews.begin(a.life)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(a.life, reviewTimeout)
	defer cancel()
	asked := a.now()
	allowed, err := a.opts.Reviewer.Authorize(ctx, k.who, a.opts.Actions[action])
	outcome, ttl := Allowed, a.opts.TTL
	switch {
	case err != nil:
		outcome = Unavailable
	case !allowed:
		outcome, ttl = Forbidden, min(refusalTTL, a.opts.TTL)
	}
	a.opts.OnReview(ReviewAction, a.now()-asked, outcome, err)
	if err != nil {
		return nil, err
	}
	gr := &grant{allowed: allowed, expires: asked + ttl}
	gr.renew.Store(int64(gr.expires)) // a refusal is not renewed ahead
	if allowed {
		gr.renew.Store(int64(renewAt(asked, gr.expires)))
	}
	k.grants[action].Store(gr)
	return gr, nil
}

// renewInTime renews a decision in the background once it is old enough.
func (a *Authorizer) renewInTime(c *Caller, action int, gr *grant, now time.Duration) {
	k := c.known
	switch {
	case due(&k.renew, now):
		token, key := string(c.token), c.key
		a.inBackground(func() { a.reviews.caller(key, func() (*caller, error) { return a.authenticate(key, token, true) }) }) //nolint:errcheck // OnReview was told
	case gr.allowed && due(&gr.renew, now):
		key := c.key
		a.inBackground(func() {
			a.reviews.grant(key, action, func() (*grant, error) { return a.authorize(k, action) }) //nolint:errcheck // as above
		})
	}
}

// due reports whether the time at has come. Of several goroutines that ask, one gets
// true.
func due(at *atomic.Int64, now time.Duration) bool {
	t := at.Load()
	return int64(now) >= t && at.CompareAndSwap(t, int64(now+renewAgain))
}

// inBackground runs f in the background, unless the Authorizer is closed or enough is
// running there already.
func (a *Authorizer) inBackground(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	select {
	case a.renewals <- struct{}{}:
		a.background.Go(func() {
			defer func() { <-a.renewals }()
			f()
		})
	default: // tried again later; the decision still holds
	}
}
