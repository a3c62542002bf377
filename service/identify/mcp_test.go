package identify

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service/identity"
)

// What is sent to an MCP server: two requests that call nothing, as the specification has
// them, and the end of a session; nothing secret, and no header but these.
func TestWhatMCPServersAreSent(t *testing.T) {
	const session = "1fa9ca02-938f-436c-a95e-1187d2f36660"
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var message struct {
			JSONRPC, Method string
			Params          map[string]any
		}
		if len(body) > 0 {
			if err := json.Unmarshal(body, &message); err != nil || message.JSONRPC != "2.0" {
				t.Errorf("%v: %s", err, body)
			}
		}
		seen = append(seen, r.Method+" "+r.URL.Path+" "+message.Method)
		allowed := []string{"User-Agent", "Content-Type", "Accept", "Content-Length"}
		switch {
		case r.Method == http.MethodDelete:
			allowed = []string{"User-Agent", "Mcp-Session-Id", "Mcp-Protocol-Version"}
			if r.Header.Get("Mcp-Session-Id") != session || len(body) > 0 {
				t.Errorf("ended %q", r.Header)
			}
		case message.Method == "server/discover":
			allowed = append(allowed, "Mcp-Protocol-Version", "Mcp-Method")
			meta, _ := message.Params["_meta"].(map[string]any)
			if r.Header.Get("Mcp-Protocol-Version") != meta["io.modelcontextprotocol/protocolVersion"] || r.Header.Get("Mcp-Method") != message.Method {
				t.Errorf("headers and body differ: %q %s", r.Header, body)
			}
			if _, ok := meta["io.modelcontextprotocol/clientCapabilities"].(map[string]any); !ok {
				t.Errorf("no capabilities: %s", body)
			}
		case message.Method == "initialize":
			w.Header().Set("Mcp-Session-Id", session)
		}
		for name := range r.Header {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s %s sends %s: %q", r.Method, message.Method, name, r.Header[name])
			}
		}
		if r.Method == http.MethodPost && (r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Accept") != "application/json, text/event-stream") {
			t.Errorf("headers %q", r.Header)
		}
		io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}))
	defer server.Close()
	a := newAsker(t, time.Minute)
	var kinds []string
	a.sent = func(kind string) { kinds = append(kinds, kind) }
	for _, method := range []string{identity.MCPDiscover, identity.MCPInitialize} {
		if got := a.MCP(t.Context(), server.URL+"/mcp", method); got.Status != 200 || len(got.Body) == 0 {
			t.Errorf("%d %s", got.Status, got.Why)
		}
	}
	if want := []string{"POST /mcp server/discover", "POST /mcp initialize", "DELETE /mcp "}; !slices.Equal(seen, want) {
		t.Errorf("sent %q, want %q", seen, want)
	}
	if !slices.Equal(kinds, []string{"mcp", "mcp", "mcp"}) {
		t.Errorf("counted %q", kinds)
	}
	// Nothing else can be sent.
	if got := a.MCP(t.Context(), server.URL+"/mcp", "tools/call"); got.Status != 0 || len(seen) != 3 {
		t.Errorf("sent %q", seen)
	}
}

// A session with a name that no header may have is left alone.
func TestStrangeSessions(t *testing.T) {
	for _, id := range []string{"", "a b", "\x80", strings.Repeat("a", maxSession+1)} {
		deleted := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deleted = deleted || r.Method == http.MethodDelete
			w.Header()["Mcp-Session-Id"] = []string{id}
		}))
		newAsker(t, time.Minute).MCP(t.Context(), server.URL, identity.MCPInitialize)
		if deleted {
			t.Errorf("the session %.20q was sent back", id)
		}
		server.Close()
	}
}

// A server that closes the connection after each answer gets the whole request again.
func TestAgainOverANewConnection(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n++; !strings.Contains(string(body), "server/discover") {
			t.Errorf("request %d has %q", n, body)
		}
	}))
	defer server.Close()
	a := newAsker(t, time.Minute)
	for range 2 {
		if got := a.MCP(t.Context(), server.URL, identity.MCPDiscover); got.Status != 200 {
			t.Errorf("%d %s", got.Status, got.Why)
		}
		server.CloseClientConnections() // the kept one, when it is idle
	}
	if n != 2 {
		t.Errorf("%d requests", n)
	}
}
