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
		ce.Write(zap.String("method", "GET"), zap.ByteString("path", h.Path), zap.Int("status", status), zap.Duration("duration", took),
			zap.ByteString("request_id", id), zap.Stringer("client", c.RemoteAddr()))
	}
	return last
}

// A DirectPass lets a request pass, by its Authorization field, or returns false: then it is
// not known at once whether the caller may pass, and nothing has been counted.
type DirectPass func(c *conn.Conn, authorization []byte) bool

// RequireDirect returns the DirectPass of what Require is for.
func (a *Authorizer) RequireDirect(what auth.Action, limited bool) DirectPass {
	action := slices.Index(a.actions, what)
	return func(c *conn.Conn, authorization []byte) bool { return a.passDirect(c, authorization, action, limited) }
}

func (a *Authorizer) passDirect(c *conn.Conn, authorization []byte, action int, limited bool) bool {
	var caller auth.Caller
	if a.callers != nil {
		scheme, token, _ := bytes.Cut(authorization, []byte{' '})
		if !bytes.EqualFold(scheme, schemeBearer) {
			return false
		}
		caller = a.callers.Again(bytes.Trim(token, " "), &keptWith(c).token, c.Arrived())
		if _, ok := a.callers.Recall(&caller, action); !ok {
			return false
		}
	}
	if limited && a.limiter != nil && a.limiter.take(clientAt(caller.Known(), c.Client())) > 0 {
		return false // which has counted nothing
	}
	if a.callers != nil {
		a.metrics.decisions[auth.Allowed].Inc()
	}
	return true
}
