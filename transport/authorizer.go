package transport

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/problem"
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

// An authorizer stands before the routes that are not open to everybody. It holds
// clients to their rate, and lets those pass that may.
//
// It is bound to routes, not to paths: what the router makes of a path can't
// get around it.
type authorizer struct {
	callers *auth.Authorizer // nil without authentication
	limiter *limiter         // nil without a rate limit
	metrics *authorizerMetrics
	actions []auth.Action
}

// An authorizeFunc lets a request pass, or answers it and returns false.
type authorizeFunc func(*fasthttp.RequestCtx) bool

// newAuthorizeFunc returns the authorizeFunc of a route.
func (a *authorizer) newAuthorizeFunc(f *portServer, method, pattern string, limited bool) authorizeFunc {
	index := a.action(method, pattern)
	return func(ctx *fasthttp.RequestCtx) bool { return a.pass(f, ctx, index, limited) }
}

// actionRoot precedes the paths of the API in actions. Without it they would begin
// with /api/, and Kubernetes lets every authenticated user get what does: its
// default ClusterRole system:discovery has the nonResourceURL "/api/*", which is
// meant for the API server's own paths.
const actionRoot = "/dynamic-toolset"

// action returns the index of what a caller must be allowed for a route: the
// method on the path below actionRoot, or on /metrics, as everybody has it.
//
// A HEAD is a GET of which less is seen, and needs no right of its own. The
// action of a path with a name in it ends with "*" in the name's place, whatever
// the name: so one decision serves for all names, and nobody can make up paths
// that must be decided about. That is what a rule of RBAC for all names looks
// like; a rule for a single name never matches it.
func (a *authorizer) action(method, pattern string) int {
	if method == fasthttp.MethodHead {
		method = fasthttp.MethodGet
	}
	if i := strings.IndexByte(pattern, '{'); i >= 0 {
		pattern = pattern[:i] + "*"
	}
	if pattern != metricsPattern {
		pattern = actionRoot + pattern
	}
	what := auth.Action{Verb: strings.ToLower(method), Path: pattern}
	if i := slices.Index(a.actions, what); i >= 0 {
		return i
	}
	a.actions = append(a.actions, what)
	return len(a.actions) - 1
}

// authorizeRoutes puts the authorizer in front of the routes that are added from now on.
func (s *Server) authorizeRoutes() {
	s.authorizer = &authorizer{}
	s.api.authorizing = func(method, pattern string) authorizeFunc {
		return s.authorizer.newAuthorizeFunc(s.api, method, pattern, true)
	}
	if s.opts.Auth != nil && s.opts.Auth.Metrics {
		s.metricsPort.authorizing = func(method, pattern string) authorizeFunc {
			return s.authorizer.newAuthorizeFunc(s.metricsPort, method, pattern, false)
		}
	}
}

// open makes the authorizer that the authorizeFuncs are of; it comes after the last of them.
func (a *authorizer) open(s *Server) (err error) {
	a.limiter = newLimiter(s.opts.RateLimit)
	if o := s.opts.Auth; o != nil {
		a.callers, err = auth.New(auth.Options{Reviewer: o.Reviewer, TTL: o.TTL, Actions: a.actions, OnReview: newReviewLog(s.log, s.set).note})
	}
	a.metrics = newAuthorizerMetrics(s.set, a)
	return err
}

// close ends what the authorizer does in the background.
func (a *authorizer) close() {
	if a.callers != nil {
		a.callers.Close()
	}
}

// pass is what an authorizeFunc does. For a caller whose right is remembered it takes no
// lock and allocates nothing.
func (a *authorizer) pass(f *portServer, ctx *fasthttp.RequestCtx, action int, limited bool) bool {
	var caller auth.Caller
	var sent credentials
	if a.callers != nil {
		var token []byte
		if token, sent = bearer(&ctx.Request.Header); sent == bearerToken {
			if c := connOf(ctx); c != nil {
				caller = a.callers.Again(token, &keptWith(c).token, c.Arrived())
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
			a.limit(f, ctx, wait)
			return false
		}
	}
	if a.callers == nil {
		return true
	}
	if sent != bearerToken {
		a.metrics.decisions[auth.Unauthenticated].Inc()
		f.wantToken(ctx, sent)
		return false
	}
	d := a.callers.Decide(&caller, action)
	a.metrics.decisions[d.Result].Inc()
	if d.Result == auth.Allowed {
		return true
	}
	f.refuse(ctx, d, a.actions[action])
	return false
}

// limit answers a client that is over its rate.
func (a *authorizer) limit(f *portServer, ctx *fasthttp.RequestCtx, wait time.Duration) {
	a.metrics.limited.Inc()
	// A whole second at least: the field has no parts of one.
	seconds := strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
	ctx.Response.Header.SetBytesK(headerRetryAfter, seconds)
	f.problem(ctx, problem.TooManyRequests, "This client sends more requests than it may; wait as long as Retry-After says. To follow changes, use GET /api/v1/toolsets/watch.")
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
func (p *portServer) wantToken(ctx *fasthttp.RequestCtx, sent credentials) {
	h := &ctx.Response.Header
	switch sent {
	case severalAuthFields:
		h.Set(headerWWWAuth, challengeRequest)
		p.problem(ctx, problem.Validation, "There is more than one Authorization field; send one.",
			problem.InHeader(fieldWithoutToken, "is given more than once"))
	case malformedToken:
		h.Set(headerWWWAuth, challengeInvalid)
		p.problem(ctx, problem.Unauthorized, "What follows Bearer in the Authorization field can't be a token; see RFC 6750, section 2.1.")
	default:
		h.Set(headerWWWAuth, challenge)
		p.problem(ctx, problem.Unauthorized, "This needs a bearer token; send it as Authorization: Bearer TOKEN.")
	}
}

// refuse answers a caller that may not pass.
func (p *portServer) refuse(ctx *fasthttp.RequestCtx, d auth.Decision, what auth.Action) {
	h := &ctx.Response.Header
	switch {
	case d.Result == auth.Unauthenticated:
		h.Set(headerWWWAuth, challengeInvalid)
		p.problem(ctx, problem.Unauthorized, "The token is not valid here: it has expired, was revoked, or is of another cluster or for another audience.")
	case d.Result == auth.Forbidden:
		h.Set(headerWWWAuth, challengeScope)
		p.problem(ctx, problem.Forbidden, fmt.Sprintf("%s may not %s %s. A ClusterRole with this verb and this nonResourceURL would allow it.", quoted([]byte(d.Who.Name)), what.Verb, what.Path))
	case errors.Is(d.Err, auth.ErrBusy):
		p.problem(ctx, problem.Unavailable, "Too many callers are being authenticated at the moment; try again.")
	default:
		p.problem(ctx, problem.Unavailable, "The caller can't be authenticated or authorised now, and so is not let in. "+publicCause(d.Err))
	}
}
