package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// Auth makes a server ask who its callers are and whether they may.
type Auth struct {
	// Reviewer is who knows; required.
	Reviewer auth.Reviewer
	// TTL is how long a decision is remembered; 0 for that of auth.Options.
	TTL time.Duration
	// Metrics protects the metrics port as well.
	Metrics bool
}

// AuthorizerOptions configure an Authorizer. Auth is nil where nobody is asked who they are.
type AuthorizerOptions struct {
	Auth      *Auth
	RateLimit RateLimit
	Actions   []auth.Action // that Require is asked for; each may be there more than once
	Problem   reply.Problem
	Metrics   *metrics.Set // gets the series of what is switched on
	Log       *zap.Logger
}

// An Authorizer stands before the routes that are not open to everybody. It holds
// clients to their rate, and lets those pass that may.
//
// It is bound to routes, not to paths: what the router makes of a path can't
// get around it.
type Authorizer struct {
	problem reply.Problem
	callers *auth.Authorizer // nil without authentication
	limiter *limiter         // nil without a rate limit
	metrics *authorizerMetrics
	actions []auth.Action // that callers are asked about, each once
}

// A Pass lets a request pass, or answers it and returns false.
type Pass func(*fasthttp.RequestCtx) bool

// NewAuthorizer returns an Authorizer, which is to be closed.
func NewAuthorizer(o AuthorizerOptions) (*Authorizer, error) {
	a := &Authorizer{problem: o.Problem, limiter: newLimiter(o.RateLimit)}
	if o.Auth != nil {
		for _, what := range o.Actions {
			if !slices.Contains(a.actions, what) {
				a.actions = append(a.actions, what)
			}
		}
		var err error
		if a.callers, err = auth.New(auth.Options{Reviewer: o.Auth.Reviewer, TTL: o.Auth.TTL, Actions: a.actions, OnReview: newReviewLog(o.Log, o.Metrics).note}); err != nil {
			return nil, err
		}
	}
	a.metrics = newAuthorizerMetrics(o.Metrics, a)
	return a, nil
}

// Require returns a Pass for those who may do what; limited: as often as the rate limit says.
func (a *Authorizer) Require(what auth.Action, limited bool) Pass {
	action := slices.Index(a.actions, what)
	return func(ctx *fasthttp.RequestCtx) bool { return a.pass(ctx, action, limited) }
}

// Close ends what the Authorizer does in the background.
func (a *Authorizer) Close() {
	if a.callers != nil {
		a.callers.Close()
	}
}

// pass is what a Pass does. For a caller whose right is remembered it takes no
// lock and allocates nothing.
func (a *Authorizer) pass(ctx *fasthttp.RequestCtx, action int, limited bool) bool {
	var caller auth.Caller
	var sent credentials
	if a.callers != nil {
		var token []byte
		if token, sent = bearer(&ctx.Request.Header); sent == bearerToken {
			if nc := conn.Of(ctx.Conn()); nc != nil {
				caller = a.callers.Again(token, &keptWith(nc).token, nc.Arrived())
			} else {
				caller = a.callers.Caller(token)
			}
			// One that is known has the form of a token: looking at that each
			// time would cost half as much as all the rest.
			if caller.Known() == nil && !isToken(token) {
				sent = malformedToken
			}
		}
	}
	if limited && a.limiter != nil {
		if wait := a.limiter.take(clientOf(caller.Known(), ctx.RemoteAddr())); wait > 0 {
			a.limit(ctx, wait)
			return false
		}
	}
	if a.callers == nil {
		return true
	}
	if sent != bearerToken {
		a.metrics.decisions[auth.Unauthenticated].Inc()
		a.wantToken(ctx, sent)
		return false
	}
	d := a.callers.Decide(&caller, action)
	a.metrics.decisions[d.Result].Inc()
	if d.Result == auth.Allowed {
		return true
	}
	a.refuse(ctx, d, a.actions[action])
	return false
}

// limit answers a client that is over its rate.
func (a *Authorizer) limit(ctx *fasthttp.RequestCtx, wait time.Duration) {
	a.metrics.limited.Inc()
	// A whole second at least: the field has no parts of one.
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	reply.RetryAfter(ctx, seconds)
	a.problem(ctx, problem.TooManyRequests, "This client sends more requests than it may; wait as long as Retry-After says. To follow changes, use GET /api/v1/toolsets/watch.")
}

// The challenges of a 401 or 403 (RFC 6750, section 3).
const (
	challenge         = `Bearer realm="dynamic-toolset"`
	challengeInvalid  = challenge + `, error="invalid_token", error_description="The token is malformed, expired, revoked or not for this service"`
	challengeRequest  = challenge + `, error="invalid_request", error_description="There is more than one Authorization field"`
	challengeScope    = challenge + `, error="insufficient_scope"`
	headerWWWAuth     = fasthttp.HeaderWWWAuthenticate
	fieldWithoutToken = "Authorization"
)

// wantToken answers a request without credentials that could be looked at.
func (a *Authorizer) wantToken(ctx *fasthttp.RequestCtx, sent credentials) {
	h := &ctx.Response.Header
	switch sent {
	case severalAuthFields:
		h.Set(headerWWWAuth, challengeRequest)
		a.problem(ctx, problem.Validation, "There is more than one Authorization field; send one.",
			problem.InHeader(fieldWithoutToken, "is given more than once"))
	case malformedToken:
		h.Set(headerWWWAuth, challengeInvalid)
		a.problem(ctx, problem.Unauthorized, "What follows Bearer in the Authorization field can't be a token; see RFC 6750, section 2.1.")
	default:
		h.Set(headerWWWAuth, challenge)
		a.problem(ctx, problem.Unauthorized, "This needs a bearer token; send it as Authorization: Bearer TOKEN.")
	}
}

// refuse answers a caller that may not pass.
func (a *Authorizer) refuse(ctx *fasthttp.RequestCtx, d auth.Decision, what auth.Action) {
	h := &ctx.Response.Header
	switch {
	case d.Result == auth.Unauthenticated:
		h.Set(headerWWWAuth, challengeInvalid)
		a.problem(ctx, problem.Unauthorized, "The token is not valid here: it has expired, was revoked, or is of another cluster or for another audience.")
	case d.Result == auth.Forbidden:
		h.Set(headerWWWAuth, challengeScope)
		a.problem(ctx, problem.Forbidden, fmt.Sprintf("%s may not %s %s. A ClusterRole with this verb and this nonResourceURL would allow it.", reply.Quoted([]byte(d.Who.Name)), what.Verb, what.Path))
	case errors.Is(d.Err, auth.ErrBusy):
		a.problem(ctx, problem.Unavailable, "Too many callers are being authenticated at the moment; try again.")
	default:
		a.problem(ctx, problem.Unavailable, "The caller can't be authenticated or authorised now, and so is not let in. "+reply.PublicCause(d.Err))
	}
}
