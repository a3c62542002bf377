package api

import (
	"bytes"
	"encoding/json"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// The commands are discover, generate and validate.

// noBody checks the body of a command that takes no arguments there: it may be empty or
// any JSON. It answers if the body is anything else.
func (a *API) noBody(ctx *fasthttp.RequestCtx) bool {
	body := ctx.Request.Body()
	if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
		a.problem(ctx, problem.Validation, "The body is not well-formed JSON; leave it empty.",
			problem.InBody(problem.Body, "", "must be empty or well-formed JSON"))
		return false
	}
	return true
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // these types always marshal
		panic(err)
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}
