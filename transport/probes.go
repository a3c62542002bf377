package transport

import (
	"encoding/json"
	"runtime"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

var (
	aliveBody = []byte(`{"status":"alive"}`)
	readyBody = []byte(`{"status":"ready"}`)
)

// live answers the liveness probe: 200 as long as the process can answer, also
// during shutdown. A kubelet that saw it fail would kill the pod mid-drain.
func (s *Server) live(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.Response.SetBodyRaw(aliveBody)
}

// ready answers the readiness probe.
func (s *Server) ready(ctx *fasthttp.RequestCtx) {
	switch {
	case s.stopping.Load():
		s.api.problem(ctx, problem.Unavailable, "The service is shutting down. Requests that still arrive are answered; new ones should go elsewhere.")
	case s.opts.Catalogue.Snapshot() == nil:
		s.api.problem(ctx, problem.Unavailable, "The service is starting: it has not read the cluster yet. "+s.status.Load().NotReady)
	case s.status.Load().NotReady != "":
		s.api.problem(ctx, problem.Unavailable, s.status.Load().NotReady)
	default:
		ctx.Response.Header.SetContentTypeBytes(contentJSON)
		ctx.Response.SetBodyRaw(readyBody)
	}
}

func (s *Server) version() fasthttp.RequestHandler {
	body, err := json.Marshal(map[string]string{"version": s.opts.Version, "go": runtime.Version()})
	if err != nil { // a map of strings always marshals
		panic(err)
	}
	return func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetContentTypeBytes(contentJSON)
		ctx.Response.SetBodyRaw(body)
	}
}
