package api

import (
	_ "embed"

	"github.com/valyala/fasthttp"
	"sigs.k8s.io/yaml"
)

// Description is the OpenAPI 3.1 description of the API port, written by hand. Tests
// compare it with real responses and with the routes.
//
//go:embed openapi.yaml
var Description []byte

// OpenAPI answers with the description.
func (a *API) OpenAPI(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.Response.SetBodyRaw(a.description)
}

func renderDescription() []byte {
	body, err := yaml.YAMLToJSON(Description)
	if err != nil { // it is embedded, and a test parses it
		panic(err)
	}
	return body
}
