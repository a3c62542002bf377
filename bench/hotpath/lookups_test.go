package hotpath

import (
	"fmt"
	"strings"
)

// A lookup is one kind of request.
type lookup struct {
	name  string // part of the benchmark's name
	path  string
	field string // a line of the request's header, or ""
	depth int    // requests that are sent at once; 1 if not pipelined
	body  string // of a POST; empty for a GET
}

// lookups is what is measured. There are 100 toolsets of one type, 10 in each namespace; see
// newCatalogue.
var lookups = []lookup{
	{"list", "/api/v1/toolsets", "", 1, ""},
	{"list-gzip", "/api/v1/toolsets", "Accept-Encoding: gzip", 1, ""},
	{"filtered", "/api/v1/toolsets?namespace=ns-3&healthy=false", "", 1, ""},
	{"filtered-gzip", "/api/v1/toolsets?namespace=ns-3", "Accept-Encoding: gzip", 1, ""},
	{"by-name", "/api/v1/toolsets/p7", "", 1, ""},
	{"by-type", "/api/v1/toolsets/prometheus", "", 1, ""}, // answered with the primary one
	{"not-modified", "/api/v1/toolsets/p7", "If-None-Match: *", 1, ""},
	{"request-id", "/api/v1/toolsets/p7", "X-Request-ID: 4bf92f3577b34da6a3ce929d0e0e4736", 1, ""},
	{"by-name-pipelined", "/api/v1/toolsets/p7", "", 16, ""},
	{"not-modified-pipelined", "/api/v1/toolsets/p7", "If-None-Match: *", 16, ""},
}

// token is the callers' bearer token. It is as long as a ServiceAccount's.
var token = "e30." + strings.Repeat("x", 1000) + ".c2ln"

// request returns the bytes of l.depth requests.
func (l lookup) request(withToken bool) []byte {
	var b strings.Builder
	method := "GET"
	if l.body != "" {
		method = "POST"
	}
	for range l.depth {
		fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: dynamic-toolset:8080\r\nUser-Agent: bench\r\nAccept: application/json\r\n", method, l.path)
		if withToken {
			fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
		}
		if l.field != "" {
			fmt.Fprintf(&b, "%s\r\n", l.field)
		}
		if l.body != "" {
			fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(l.body))
		}
		b.WriteString("\r\n" + l.body)
	}
	return []byte(b.String())
}
