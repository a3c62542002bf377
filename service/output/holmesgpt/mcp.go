package holmesgpt

import (
	"net/url"

	"kubernaut.io/dynamic-toolset/service"
)

// maxServers bounds the MCP servers of a document, as each part of it has all of them.
const maxServers = 50

// mcp returns the entry of an MCP server in mcp_servers; nil if t is none.
func (t *Toolset) mcp(u *url.URL) []byte {
	if t.Type != typeMCP || !isHTTP(u) {
		return nil
	}
	mode := "streamable-http"
	if t.Transport == service.TransportSSE {
		mode = "sse"
	}
	config := concat([]setting{text("url", t.Endpoint+t.Path), text("mode", mode)}, t.headers("headers", true), t.verify())
	b := append([]byte(nil), "  "+t.key()+":\n    enabled: true\n    description: "+quote(t.described())+
		"\n    llm_instructions: "+quote("MCP server "+t.place()+". "+prose(t.Description))+"\n    config:\n"...)
	return write(b, 6, config)
}
