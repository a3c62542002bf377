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

// Auth makes a server check who calls and what they may do.
type Auth struct {
	// Reviewer answers both questions. It is required.
	Reviewer auth.Reviewer
	// TTL is how long a decision is remembered. Zero means the default of auth.Options.
	TTL time.Duration
	// Metrics protects the metrics port as well.
	Metrics bool
}

// AuthorizerOptions configure an Authorizer. Auth is nil if callers need no token.
type AuthorizerOptions struct {
	Auth      *Auth
	RateLimit RateLimit
	Actions   []auth.Action // actions that Require may be called with, in any order; duplicates are allowed
	Problem   reply.Problem
	Metrics   *metrics.Set // receives the series of what is switched on
	Log       *zap.Logger
}

// An Authorizer checks the requests for routes that are not open to everybody: whether
// the client is within its rate limit, who it is, and whether it may call the route.
//
// It belongs to routes and not to paths, so no spelling of a path gets around it.
type Authorizer struct {
	problem reply.Problem
	callers *auth.Authorizer // nil without authentication
	limiter *limiter         // nil without a rate limit
	metrics *authorizerMetrics
	actions []auth.Action // without duplicates; the index is that of auth.Authorizer
}

// A Pass lets a request pass and returns true, or answers it and returns false.
type Pass func(*fasthttp.RequestCtx) bool

// NewAuthorizer returns an Authorizer. Close must be called when it is no longer used.
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

// Require returns a Pass for callers that may do what. If limited is set, the rate limit
// applies.
func (a *Authorizer) Require(what auth.Action, limited bool) Pass {
	action := slices.Index(a.actions, what)
	return func(ctx *fasthttp.RequestCtx) bool { return a.pass(ctx, action, limited) }
}

// Close ends the background work of the Authorizer.
func (a *Authorizer) Close() {
	if a.callers != nil {
		a.callers.Close()
	}
}

// pass decides about one request. For a caller whose right is remembered it takes no lock
// and allocates nothing.
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
			// A token that is known has a valid form. Checking it each time would cost
			// half as much as everything else here.
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

// limit answers a client that has exceeded its rate.
func (a *Authorizer) limit(ctx *fasthttp.RequestCtx, wait time.Duration) {
	a.metrics.limited.Inc()
	// Rounded up, since the field has whole seconds.
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	reply.RetryAfter(ctx, seconds)
	a.problem(ctx, problem.TooManyRequests, "This client sends more requests than it may; wait as long as Retry-After says. To follow changes, use GET /api/v1/toolsets/watch.")
}

// Values of WWW-Authenticate with a 401 or 403 (RFC 6750, section 3).
const (
	challenge         = `Bearer realm="dynamic-toolset"`
	challengeInvalid  = challenge + `, error="invalid_token", error_description="The token is malformed, expired, revoked or not for this service"`
	challengeRequest  = challenge + `, error="invalid_request", error_description="There is more than one Authorization field"`
	challengeScope    = challenge + `, error="insufficient_scope"`
	headerWWWAuth     = fasthttp.HeaderWWWAuthenticate
	fieldWithoutToken = "Authorization"
)

// wantToken answers a request without a usable token.
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
