package transport

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// The answer to any query is a document: the list, or a problem.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "type=prometheus", "healthy=true&enabled=false", "healthy=TRUE", "type=&type=x", "namespace=%00%ff", "a=b&&&=;", "type=%zz", "wait=5s"} {
		f.Add(q, "gzip;q=0, *", `W/"x", *`)
	}
	s := lookupServer(f)
	f.Fuzz(func(t *testing.T, query, accept, match string) {
		for _, path := range []string{"/api/v1/toolsets", "/api/v1/services", "/api/v1/toolsets/p7"} {
			var req fasthttp.Request
			req.SetRequestURI(path)
			req.URI().SetQueryString(query)
			req.Header.SetHost("x")
			req.Header.Set("Accept-Encoding", accept)
			req.Header.Set("If-None-Match", match)
			ctx := &fasthttp.RequestCtx{}
			ctx.Init(&req, nil, nil)
			s.apiPort.chain.Handle(ctx)
			body := ctx.Response.Body()
			if string(ctx.Response.Header.Peek("Content-Encoding")) == "gzip" {
				plain, err := ctx.Response.BodyGunzip()
				if err != nil {
					t.Fatalf("gzip: %v", err)
				}
				body = plain
			}
			switch code := ctx.Response.StatusCode(); code {
			case 200:
				if !json.Valid(body) {
					t.Fatalf("not JSON: %.200q", body)
				}
			case 304:
				if !ctx.Response.SkipBody {
					t.Fatal("304 with a body")
				}
			case 400, 404, 409:
				var d struct{ Status int }
				if !bytes.Equal(ctx.Response.Header.ContentType(), []byte(problem.ContentType)) || json.Unmarshal(body, &d) != nil || d.Status != code {
					t.Fatalf("not a problem document: %d %.200q", code, body)
				}
			default:
				t.Fatalf("status %d for %s?%q", code, path, query)
			}
		}
	})
}
