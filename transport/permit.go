package transport

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
)

// A permit is the right of an event stream to go on. A stream outlives the
// decision that let it in, and must not outlive the right: it asks again as that
// decision grows old, and ends when the answer is no, or when there is none by
// the end of the last one.
//
// It keeps the token, which nothing else does: there is no asking without it.
type permit struct {
	gate   *auth.Gate
	token  []byte
	action int
	timer  *time.Timer // runs out when it must be asked for again
}

// permit returns that of a request that was let pass; nil without
// authentication.
func (s *Server) permit(ctx *fasthttp.RequestCtx, method, pattern string) *permit {
	if s.gate == nil || s.gate.callers == nil {
		return nil
	}
	token, _ := bearer(&ctx.Request.Header)
	return &permit{gate: s.gate.callers, token: bytes.Clone(token), action: s.gate.action(method, pattern)}
}

// askAgain is the least time between two looks at a permit.
const askAgain = time.Second

// extend asks whether the stream may go on, and sets the timer to when to ask
// again. If it may not, it returns why, for the client.
func (p *permit) extend() (end string) {
	caller := p.gate.Caller(p.token)
	d := p.gate.Decide(&caller, p.action)
	switch d.Result {
	case auth.Allowed:
		p.timer.Reset(min(max(d.Ask, askAgain), d.Valid))
		return ""
	case auth.Unauthenticated:
		return "the token is not valid any more; reconnect with a new one"
	case auth.Forbidden:
		return "the permission was taken away"
	}
	return "the permission can't be checked now; reconnect later"
}
