package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// ListToolsets answers with those toolsets that the query selects.
func (a *API) ListToolsets(ctx *fasthttp.RequestCtx) {
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	var f snapshot.Filter
	if a.filter(ctx, &f, true) {
		a.sendList(ctx, snap.Toolsets(), &f)
	}
}
