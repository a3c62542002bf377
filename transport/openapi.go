package transport

import (
	_ "embed"

	"github.com/valyala/fasthttp"
	"sigs.k8s.io/yaml"
)

// openAPISource is the OpenAPI 3.1 description of the API port, written by
// hand; tests hold real responses against it.
//
//go:embed openapi.yaml
var openAPISource []byte

// openAPI renders the description once, when the server is made.
func (s *Server) openAPI() fasthttp.RequestHandler {
	body, err := yaml.YAMLToJSON(openAPISource)
	if err != nil { // it is embedded, and a test loads it
		panic(err)
	}
	return func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetContentTypeBytes(contentJSON)
		ctx.Response.SetBodyRaw(body)
	}
}
