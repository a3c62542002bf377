package api

import (
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// ListServices answers with those discovered Services that the query selects.
func (a *API) ListServices(ctx *fasthttp.RequestCtx) {
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	var f snapshot.Filter
	if a.filter(ctx, &f, false) {
		a.sendList(ctx, snap.Services(), &f)
	}
}
