package identify

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kubernaut.io/dynamic-toolset/service/identity"
)

// The revisions of the Model Context Protocol that are named: the stateless one for
// server/discover, and the last one before it for initialize. A server that has others
// answers with those.
const (
	mcpStateless = "2026-07-28"
	mcpSessions  = "2025-11-25"
)

// mcpBodies are all that is ever sent by POST. No tool is called, and none is listed.
var mcpBodies = map[string]string{
	identity.MCPDiscover: `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"` + mcpStateless + `",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"` + userAgent + `","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`,
	identity.MCPInitialize: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` +
		`"protocolVersion":"` + mcpSessions + `","capabilities":{},` +
		`"clientInfo":{"name":"` + userAgent + `","version":"1"}}}`,
}

// sessionField is the header field that names a session; maxSession bounds its value.
const (
	sessionField = "Mcp-Session-Id"
	maxSession   = 1 << 10 // bytes
)

// MCP is an identity.Asker's.
func (a *asker) MCP(ctx context.Context, raw, method string) identity.Answer {
	body, known := mcpBodies[method]
	u, err := url.Parse(raw)
	if !known || err != nil || u.Host == "" {
		return identity.Answer{Failure: identity.Unreachable, Why: "its address is not a valid URL"}
	}
	request := newRequest(http.MethodPost, u)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if method == identity.MCPDiscover {
		request.Header.Set("Mcp-Protocol-Version", mcpStateless)
		request.Header.Set("Mcp-Method", method)
	}
	request.ContentLength = int64(len(body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(body))), nil }
	a.sent("mcp")
	answer := a.do(ctx, request)
	if method == identity.MCPInitialize {
		a.endSession(ctx, u, answer.Header[sessionField])
	}
	return answer
}

// endSession tells the server that the session is not used, so that it need not keep it.
// Its answer does not matter.
func (a *asker) endSession(ctx context.Context, u *url.URL, ids []string) {
	if len(ids) != 1 || ids[0] == "" || len(ids[0]) > maxSession || strings.ContainsFunc(ids[0], func(c rune) bool { return c <= ' ' || c > '~' }) {
		return
	}
	request := newRequest(http.MethodDelete, u)
	request.Header[sessionField] = ids
	request.Header.Set("Mcp-Protocol-Version", mcpSessions)
	a.sent("mcp")
	a.do(ctx, request)
}
