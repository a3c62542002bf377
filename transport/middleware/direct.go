package middleware

import (
	"bytes"
	"runtime/debug"
	"slices"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/head"
)

// A Direct does what a Chain does for the requests of one route that an event loop answers:
// those that have no body, are plain, and succeed.
type Direct struct {
	chain   *Chain
	metrics *routeMetrics
}

// Direct returns the Direct of the route with this pattern.
func (c *Chain) Direct(pattern string) Direct {
	return Direct{chain: c, metrics: c.metrics.route(pattern)}
}

// ServedBy returns the value of X-Served-By; empty for no such field.
func (c *Chain) ServedBy() []byte { return c.servedBy }

// Panicked counts and logs what should not happen: a request that the server has to answer
// since an event loop could not.
func (c *Chain) Panicked(v any) {
	c.metrics.panics.Inc()
	c.log.Error("An event loop panicked; the request is answered without it", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
}

var methodGet = []byte("GET")

// Finish counts and logs a response that is made, and reports whether it must announce the
// end of the connection. id is its identifier, and rest what was read behind the request.
func (d Direct) Finish(c *conn.Conn, h *head.Head, status int, id, rest []byte) (last bool) {
	took, last := c.AnsweredAhead(rest, d.chain.draining.Load())
	d.metrics.observe(methodGet, status, took)
	if ce := d.chain.log.Check(zap.DebugLevel, "Request"); ce != nil {
		ce.Write(zap.String("method", "GET"), zap.String("path", string(h.Path)), zap.Int("status", status), zap.Duration("duration", took),
			zap.String("request_id", string(id)), zap.Stringer("client", c.RemoteAddr()))
	}
	return last
}

// A DirectPass lets requests pass, as a Pass does.
type DirectPass struct {
	a       *Authorizer
	action  int
	limited bool
}

// RequireDirect returns the DirectPass of what Require is for.
func (a *Authorizer) RequireDirect(what auth.Action, limited bool) *DirectPass {
	return &DirectPass{a: a, action: slices.Index(a.actions, what), limited: limited}
}

// Recall returns who sends a request, by its Authorization field; nil if that does not matter.
// It returns false if it is not known at once that the caller may pass. It counts nothing.
func (p *DirectPass) Recall(c *conn.Conn, authorization []byte) (who *auth.Identity, ok bool) {
	callers := p.a.callers
	if callers == nil {
		return nil, true
	}
	scheme, token, _ := bytes.Cut(authorization, []byte{' '})
	if !bytes.EqualFold(scheme, schemeBearer) {
		return nil, false
	}
	caller := callers.Again(bytes.Trim(token, " "), &keptWith(c).token, c.Arrived())
	_, ok = callers.Recall(&caller, p.action)
	return caller.Known(), ok
}

// Take counts a request that Recall has let pass, or returns false, and counts nothing, if the
// client sends too many.
func (p *DirectPass) Take(c *conn.Conn, who *auth.Identity) bool {
	if p.limited && p.a.limiter != nil && p.a.limiter.take(clientAt(who, c.Client())) > 0 {
		return false
	}
	if p.a.callers != nil {
		p.a.metrics.decisions[auth.Allowed].Inc()
	}
	return true
}
