package transport

import (
	"bytes"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
)

// A streamAuthorization is the right of an event stream to go on. A stream outlives the
// decision that let it in, and must not outlive the right: it asks again as that
// decision grows old, and ends when the answer is no, or when there is none by
// the end of the last one.
//
// It keeps the token, which nothing else does: there is no asking without it.
type streamAuthorization struct {
	authorizer *auth.Authorizer
	token      []byte
	action     int
	timer      *time.Timer // runs out when it must be asked for again
}

// streamAuthorization returns that of a request that was let pass; nil without
// authentication.
func (s *Server) streamAuthorization(ctx *fasthttp.RequestCtx, r *route) *streamAuthorization {
	if s.authorizer == nil || s.authorizer.callers == nil {
		return nil
	}
	token, _ := bearer(&ctx.Request.Header)
	return &streamAuthorization{authorizer: s.authorizer.callers, token: bytes.Clone(token), action: slices.Index(s.authorizer.actions, r.action())}
}

// askAgain is the least time between two looks at a streamAuthorization.
const askAgain = time.Second

// extend asks whether the stream may go on, and sets the timer to when to ask
// again. If it may not, it returns why, for the client.
func (a *streamAuthorization) extend() (end string) {
	caller := a.authorizer.Caller(a.token)
	d := a.authorizer.Decide(&caller, a.action)
	switch d.Result {
	case auth.Allowed:
		a.timer.Reset(min(max(d.Ask, askAgain), d.Valid))
		return ""
	case auth.Unauthenticated:
		return "the token is not valid any more; reconnect with a new one"
	case auth.Forbidden:
		return "the permission was taken away"
	}
	return "the permission can't be checked now; reconnect later"
}
