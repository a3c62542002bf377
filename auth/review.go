package auth

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"
)

// wholeCaller is the action of a question about whom a token stands for.
const wholeCaller = -1

// review asks the authority about what is not remembered.
func (g *Gate) review(c *Caller, action int) Decision {
	now := g.now()
	known := g.known.Get(c.key)
	if known == nil || now >= known.expires {
		if r := g.refused.Get(c.key); r != nil && now < r.expires {
			return Decision{Result: Unauthenticated, Valid: r.expires - now, Ask: r.expires - now}
		}
		var err error
		known, err = g.reviews.caller(c.key, func() (*caller, error) { return g.authenticate(c.key, string(c.token), false) })
		switch {
		case errors.Is(err, ErrInvalidToken):
			return Decision{Result: Unauthenticated, Valid: refusalTTL, Ask: refusalTTL}
		case err != nil:
			return Decision{Err: err}
		}
	}
	if gr := known.grants[action].Load(); gr != nil && g.now() < gr.expires {
		return known.decision(gr, g.now())
	}
	gr, err := g.reviews.grant(c.key, action, func() (*grant, error) { return g.authorize(known, action) })
	if err != nil {
		return Decision{Who: known.who, Err: err}
	}
	return known.decision(gr, g.now())
}

// authenticate asks whom the token stands for and remembers the answer. Unless
// it is to renew an answer, one that still holds is good enough.
func (g *Gate) authenticate(k key, token string, renew bool) (*caller, error) {
	release, err := g.reviews.begin(g.life)
	if err != nil {
		return nil, err
	}
	defer release()
	old := g.known.Get(k)
	if old != nil && !renew && g.now() < old.expires {
		return old, nil // another one has asked while this one waited
	}
	ctx, cancel := context.WithTimeout(g.life, reviewTimeout)
	defer cancel()
	asked := g.now()
	who, err := g.opts.Reviewer.Authenticate(ctx, token)
	outcome := Allowed
	switch {
	case errors.Is(err, ErrInvalidToken):
		outcome = Unauthenticated
	case err != nil:
		outcome = Unavailable
	}
	g.opts.OnReview(ReviewToken, g.now()-asked, outcome, err)
	switch outcome {
	case Unauthenticated:
		g.refused.Put(k, &refusal{expires: asked + min(refusalTTL, g.opts.TTL), err: err}, refusalWorth)
		g.known.Delete(k)
		return nil, err
	case Unavailable:
		return nil, err
	}
	fresh := &caller{who: who, expires: asked + g.lifetime(token)}
	fresh.renew.Store(int64(renewAt(asked, fresh.expires)))
	if old != nil && reflect.DeepEqual(old.who, who) {
		// Shared, not copied: a grant that is being renewed must not get lost.
		fresh.who, fresh.grants = old.who, old.grants
	} else {
		fresh.grants = make([]atomic.Pointer[grant], len(g.opts.Actions))
	}
	g.known.Put(k, fresh, callerWorth)
	return fresh, nil
}

// lifetime is how long the decision about a valid token is remembered: never
// beyond the token's own end. Where that has passed by this machine's clock,
// the authority's, which is right, goes after it.
func (g *Gate) lifetime(token string) time.Duration {
	ttl := g.opts.TTL
	if end, ok := expiry(token); ok {
		ttl = min(ttl, max(time.Until(end), time.Second))
	}
	return ttl
}

// renewAt is three quarters of the way from asked to expires.
func renewAt(asked, expires time.Duration) time.Duration {
	return asked + (expires-asked)/4*3
}

// authorize asks whether the caller may do this and remembers the answer.
func (g *Gate) authorize(k *caller, action int) (*grant, error) {
	release, err := g.reviews.begin(g.life)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(g.life, reviewTimeout)
	defer cancel()
	asked := g.now()
	allowed, err := g.opts.Reviewer.Authorize(ctx, k.who, g.opts.Actions[action])
	outcome, ttl := Allowed, g.opts.TTL
	switch {
	case err != nil:
		outcome = Unavailable
	case !allowed:
		outcome, ttl = Forbidden, min(refusalTTL, g.opts.TTL)
	}
	g.opts.OnReview(ReviewAction, g.now()-asked, outcome, err)
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

// renewInTime asks anew in the background once a decision is old enough.
func (g *Gate) renewInTime(c *Caller, action int, gr *grant, now time.Duration) {
	k := c.known
	switch {
	case due(&k.renew, now):
		token, key := string(c.token), c.key
		g.inBackground(func() { g.reviews.caller(key, func() (*caller, error) { return g.authenticate(key, token, true) }) }) //nolint:errcheck // OnReview was told
	case gr.allowed && due(&gr.renew, now):
		key := c.key
		g.inBackground(func() {
			g.reviews.grant(key, action, func() (*grant, error) { return g.authorize(k, action) }) //nolint:errcheck // as above
		})
	}
}

// due reports whether the time has come, to one of those who ask.
func due(at *atomic.Int64, now time.Duration) bool {
	t := at.Load()
	return int64(now) >= t && at.CompareAndSwap(t, int64(now+renewAgain))
}

// inBackground runs f, unless the gate is closed or as much goes on in the
// background as may.
func (g *Gate) inBackground(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	select {
	case g.renewals <- struct{}{}:
		g.background.Go(func() {
			defer func() { <-g.renewals }()
			f()
		})
	default: // it is tried again, since the decision still holds
	}
}
