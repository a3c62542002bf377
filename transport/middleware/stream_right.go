package middleware

import (
	"bytes"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
)

// A StreamRight is the right of an event stream to go on. A stream outlives the
// decision that let it in, and must not outlive the right: it asks again as that
// decision grows old, and ends when the answer is no, or when there is none by
// the end of the last one.
//
// It keeps the token, which nothing else does: there is no asking without it.
type StreamRight struct {
	callers *auth.Authorizer
	token   []byte
	action  int
}

// Stream returns the StreamRight of a request that was let pass to do what; nil without
// authentication.
func (a *Authorizer) Stream(ctx *fasthttp.RequestCtx, what auth.Action) *StreamRight {
	if a == nil || a.callers == nil {
		return nil
	}
	token, _ := bearer(&ctx.Request.Header)
	return &StreamRight{callers: a.callers, token: bytes.Clone(token), action: slices.Index(a.actions, what)}
}

// askAgain is the least time between two looks at a StreamRight.
const askAgain = time.Second

// Extend asks whether the stream may go on, and returns after what time to ask again. If it
// may not, it returns why, for the client.
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
