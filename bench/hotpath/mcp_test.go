package hotpath

import (
	"encoding/json"
	"fmt"
	"testing"
)

// calls are the tools that agents call, in revision 2026-07-28 of the Model Context Protocol,
// which says most in each message, and one in the revision before it.
var calls = []lookup{
	modern("get-by-name", "get_backend", `{"name":"p7"}`),
	modern("get-by-type", "get_backend", `{"name":"prometheus"}`), // with the first ten alternatives
	modern("find", "find_backend", `{"signal":"metrics","namespace":"ns-3"}`),
	modern("list-15", "list_backends", `{"limit":15}`),
	{"get-by-name-2025-11-25", "/mcp", "MCP-Protocol-Version: 2025-11-25", 1, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_backend","arguments":{"name":"p7"}}}`},
}

func modern(name, tool, arguments string) lookup {
	return lookup{name, "/mcp", "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: " + tool, 1, fmt.Sprintf(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}`,
		tool, arguments)}
}

// BenchmarkMCP measures calls of tools. The CPU time has the client's share, too.
func BenchmarkMCP(b *testing.B) {
	for _, network := range []string{memory, tcp} {
		toolset, authorized := serveToolset(b, network, false), serveToolset(b, network, true)
		for _, l := range calls {
			name := "net=" + network + "/lookup=mcp-" + l.name + "/server="
			b.Run(name+"toolset", func(b *testing.B) { measure(b, toolset, l, false) })
			b.Run(name+"toolset-auth", func(b *testing.B) { measure(b, authorized, l, true) })
		}
	}
}

// What is measured are calls that are answered with a result.
func TestCallsAreAnswered(t *testing.T) {
	dial := serveToolset(t, memory, false)
	for _, l := range calls {
		_, body := fetch(t, dial, l, false)
		var r struct {
			Result struct {
				IsError           bool
				StructuredContent map[string]any
			}
		}
		if err := json.Unmarshal(body, &r); err != nil || r.Result.IsError || len(r.Result.StructuredContent) < 2 {
			t.Errorf("%s: %s", l.name, body)
		}
	}
}
