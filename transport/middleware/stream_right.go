package middleware

import (
	"bytes"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
)

// A StreamRight is the right of an event stream to continue. A stream may last longer
// than the decision that let it begin, but must not last longer than the right. So the
// right is checked again before the decision expires; the stream ends when the answer is
// no, or when there is no answer by then.
//
// It stores the token, which nothing else does for so long, since it can't be checked
// otherwise.
type StreamRight struct {
	callers *auth.Authorizer
	token   []byte
	action  int
}

// Stream returns the StreamRight of a request that may do what; nil without
// authentication.
func (a *Authorizer) Stream(ctx *fasthttp.RequestCtx, what auth.Action) *StreamRight {
	if a == nil || a.callers == nil {
		return nil
	}
	token, _ := bearer(&ctx.Request.Header)
	return &StreamRight{callers: a.callers, token: bytes.Clone(token), action: slices.Index(a.actions, what)}
}

// askAgain is the least time between two checks of a StreamRight.
const askAgain = time.Second

// Extend checks the right again. It returns the time until the next check, or the reason
// why the right has ended, for the client.
func (r *StreamRight) Extend() (ask time.Duration, end string) {
	caller := r.callers.Caller(r.token)
	d := r.callers.Decide(&caller, r.action)
	switch d.Result {
	case auth.Allowed:
		return min(max(d.Ask, askAgain), d.Valid), ""
	case auth.Unauthenticated:
		return 0, "the token is not valid any more; reconnect with a new one"
	case auth.Forbidden:
		return 0, "the permission was taken away"
	}
	return 0, "the permission can't be checked now; reconnect later"
}
