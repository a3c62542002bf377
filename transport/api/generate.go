package api

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// generateTimeout bounds the time in which a request writes the ConfigMap.
const generateTimeout = 10 * time.Second

// Generate writes the ConfigMap, and answers with the list of toolsets.
func (a *API) Generate(ctx *fasthttp.RequestCtx) {
	if !a.noBody(ctx) {
		return
	}
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	if a.generate != nil {
		wctx, cancel := context.WithTimeout(a.life, generateTimeout)
		defer cancel()
		version, err := a.generate(wctx)
		if err != nil {
			a.log.Warn("Writing the ConfigMap on request failed", zap.Error(err))
			a.problem(ctx, problem.Unavailable, "The ConfigMap is not up to date; it is tried again in the background. "+reply.PublicCause(err))
			return
		}
		a.catalogue.SetConfigMapVersion(version) // the list in the answer shows it
		snap = a.catalogue.Snapshot()
	}
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.SetBody(snap.Toolsets().JSON())
}
