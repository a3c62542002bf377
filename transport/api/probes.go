package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

var (
	aliveBody = []byte(`{"status":"alive"}`)
	readyBody = []byte(`{"status":"ready"}`)
)

// Live answers the liveness probe: 200 as long as the process can answer, also
// during shutdown. A kubelet that saw it fail would kill the pod mid-drain.
func (a *API) Live(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.Response.SetBodyRaw(aliveBody)
}

// Ready answers the readiness probe.
func (a *API) Ready(ctx *fasthttp.RequestCtx) {
	switch {
	case a.stopping.Load():
		a.problem(ctx, problem.Unavailable, "The service is shutting down. Requests that still arrive are answered; new ones should go elsewhere.")
	case a.catalogue.Snapshot() == nil:
		a.problem(ctx, problem.Unavailable, "The service is starting: it has not read the cluster yet. "+a.status.Load().NotReady)
	case a.status.Load().NotReady != "":
		a.problem(ctx, problem.Unavailable, a.status.Load().NotReady)
	default:
		ctx.Response.Header.SetContentTypeBytes(contentJSON)
		ctx.Response.SetBodyRaw(readyBody)
	}
}
