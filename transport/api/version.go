package api

import (
	"encoding/json"
	"runtime"

	"github.com/valyala/fasthttp"
)

// Version answers with the versions of the service and of Go.
func (a *API) Version(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.Response.SetBodyRaw(a.version)
}

func renderVersion(version string) []byte {
	body, err := json.Marshal(map[string]string{"version": version, "go": runtime.Version()})
	if err != nil { // a map of strings always marshals
		panic(err)
	}
	return body
}
