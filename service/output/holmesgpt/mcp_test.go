package holmesgpt

import (
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// An MCP server with the old transport is asked by it.
func TestTransportOfMCPServers(t *testing.T) {
	for transport, want := range map[string]string{"": `mode: "streamable-http"`, service.TransportSSE: `mode: "sse"`} {
		f, err := Render(Toolset{Namespace: "ai", Name: "tools", Type: typeMCP, Endpoint: "http://tools.ai:8080", Path: "/sse", Description: "Tools.", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		d := Document([]Candidate{{Fragment: f}}, Options{})
		if err := Check(d.Bytes()); err != nil || !strings.Contains(string(d.Bytes()), want) {
			t.Errorf("%q: %v\n%s", transport, err, d.Bytes())
		}
	}
}
