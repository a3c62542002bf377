package api

import (
	"github.com/valyala/fasthttp"
)

// GetDocument answers with the whole generated document.
func (a *API) GetDocument(ctx *fasthttp.RequestCtx) {
	if snap := a.snapshot(ctx); snap != nil {
		a.sendAnswer(ctx, snap.Document())
	}
}
