package server

import (
	"bytes"
	"net"

	"github.com/valyala/fasthttp"
)

// requestID is the X-Request-Id of all servers but ours. So they send the field, but need no
// time to make it.
const requestID = "0123456789abcdef0123456789abcdef"

// A document is a body with its entity tag.
type document struct {
	body []byte
	tag  string
}

func documentOf(a Answer) document { return document{a.Body, a.field("ETag")} }

// serverName is the Server field of all servers except nginx.
const serverName = "dynamic-toolset"

// fastHTTP returns a fasthttp server with its defaults and the simplest handler that gives
// the answers. Ours is compared with it.
func fastHTTP(set Set) (server, error) {
	byName, namespace, all := documentOf(set[ByName]), documentOf(set[List4K]), documentOf(set[List400K])
	s := &fasthttp.Server{
		Name: serverName,
		Handler: func(ctx *fasthttp.RequestCtx) {
			var d *document
			switch string(ctx.Path()) {
			case listPath + "/" + askedName:
				d = &byName
			case listPath:
				switch string(ctx.QueryArgs().Peek("namespace")) {
				case askedNamespace:
					d = &namespace
				case "":
					d = &all
				}
			}
			if d == nil {
				ctx.SetStatusCode(fasthttp.StatusNotFound)
				return
			}
			h := &ctx.Response.Header
			h.Set("X-Request-Id", requestID)
			h.Set("Cache-Control", "no-cache")
			h.Set("Vary", "Accept-Encoding")
			h.Set("Etag", d.tag)
			h.Set("X-Served-By", servedBy)
			if bytes.Equal(ctx.Request.Header.Peek("If-None-Match"), []byte(d.tag)) {
				ctx.SetStatusCode(fasthttp.StatusNotModified)
				return
			}
			ctx.SetContentType("application/json")
			ctx.Response.SetBodyRaw(d.body)
		},
	}
	return func(l net.Listener) error { return s.Serve(l) }, nil
}
