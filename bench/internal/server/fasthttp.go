package server

import (
	"bytes"
	"net"

	"github.com/valyala/fasthttp"
)

// requestID is what the others than ours send as X-Request-Id: the field is there, and
// making it costs nothing.
const requestID = "0123456789abcdef0123456789abcdef"

// A document is a body with its entity tag.
type document struct {
	body []byte
	tag  string
}

func documentOf(a Answer) document { return document{a.Body, a.field("ETag")} }

// serverName is what all but nginx call themselves, as ours does.
const serverName = "dynamic-toolset"

// fastHTTP is fasthttp with its defaults and the least that gives the answers: what
// ours is compared with.
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
