package transport_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service/catalogue"
)

// stateless returns a request of revision 2026-07-28.
func stateless(method, params string) string {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, method, strings.Trim(params+","+meta, ","))
}

// ask sends a request of revision 2026-07-28 to /mcp.
func (f *fixture) ask(method, name, params string, header ...string) *response {
	f.t.Helper()
	header = append(header, "Content-Type", "application/json", "Accept", "application/json, text/event-stream", "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", method)
	if name != "" {
		header = append(header, "Mcp-Name", name)
		params = fmt.Sprintf(`"name":%q,"arguments":{%s}`, name, params)
	}
	return f.do("POST", "/mcp", stateless(method, params), header...)
}

// A result is what a tool answers.
type toolResult struct {
	Result struct {
		ResultType        string
		Content           []struct{ Type, Text string }
		StructuredContent json.RawMessage
		IsError           bool
	}
	Error struct {
		Code    int
		Message string
	}
}

func (f *fixture) callTool(name, arguments string) toolResult {
	f.t.Helper()
	r := f.ask("tools/call", name, arguments)
	var result toolResult
	if err := json.Unmarshal(r.body, &result); err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-store" {
		f.t.Fatalf("%v %s", err, r)
	}
	return result
}

func TestMCP(t *testing.T) {
	f := start(t, func(o *options) { o.Explain = explained })
	got := f.callTool("get_backend", `"name":"prometheus"`)
	if c := got.Result.Content; len(c) != 1 || c[0].Text != string(got.Result.StructuredContent) || !strings.Contains(c[0].Text, `"url":"http://prometheus.monitoring.svc.cluster.local:80"`) {
		t.Errorf("%+v", got)
	}
	if got := f.callTool("get_backend", `"name":"shared"`); !got.Result.IsError || !strings.Contains(got.Result.Content[0].Text, "team-a/shared, team-b/shared") {
		t.Errorf("%+v", got)
	}
	if got := f.callTool("list_backends", `"limit":3`); !strings.Contains(string(got.Result.StructuredContent), `"total":4,"continue":"`) {
		t.Errorf("%+v", got)
	}
	if got := f.callTool("find_backend", `"signal":"metrics"`); !strings.Contains(string(got.Result.StructuredContent), `"name":"prometheus"`) {
		t.Errorf("%+v", got)
	}
	if got := f.callTool("explain_service", `"namespace":"monitoring","name":"x"`); !strings.Contains(string(got.Result.StructuredContent), `"outcome":"`) {
		t.Errorf("%+v", got)
	}
	// What the agent can't be told is in the log.
	if got := f.callTool("explain_service", `"namespace":"monitoring","name":"away"`); !got.Result.IsError || strings.Contains(got.Result.Content[0].Text, "10.0.0.1") {
		t.Errorf("%+v", got)
	}
	if f.logs.FilterMessage("A Service could not be explained").Len() != 1 {
		t.Error("the cause is not in the log")
	}
	if got := f.callTool("explain_service", `"namespace":"monitoring","name":"none"`); !got.Result.IsError || !strings.Contains(got.Result.Content[0].Text, "did you mean other/none") {
		t.Errorf("%+v", got)
	}
	scraped, err := send(f.metricsURL, "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	metrics := string(scraped.body)
	for _, want := range []string{
		`toolset_mcp_calls_total{tool="get_backend",result="ok"} 1`, `toolset_mcp_calls_total{tool="get_backend",result="refused"} 1`, `toolset_mcp_calls_total{tool="explain_service",result="refused"} 2`,
		`toolset_mcp_calls_total{tool="find_backend",result="refused"} 0`, `toolset_http_requests_total{route="/mcp",method="POST",code="200"} 7`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

// What is no error of the protocol is a problem document.
func TestMCPProblems(t *testing.T) {
	f := start(t, func(o *options) {
		o.Limits.MaxRequestBody = 1000
		o.MCPOrigins = []string{"https://agents.example.com"}
	})
	js := []string{"Content-Type", "application/json"}
	for _, method := range []string{"GET", "DELETE", "PUT"} { // an older client opens a stream, or ends a session
		r := f.do(method, "/mcp", "")
		wantProblem(t, r, 405, "method-not-allowed")
		if allow := r.Header.Get("Allow"); allow != "OPTIONS, POST" {
			t.Error(allow)
		}
	}
	wantProblem(t, f.do("POST", "/mcp", "{}", "Content-Type", "text/plain"), 415, "unsupported-media-type")
	wantProblem(t, f.do("POST", "/mcp", strings.Repeat(" ", 2000), js...), 413, "payload-too-large")
	for origin, allowed := range map[string]bool{
		"https://agents.example.com": true, "http://localhost:6274": true, "http://127.0.0.1": true, "https://[::1]:8443": true, "http://LOCALHOST": true,
		"http://evil.example.com": false, "null": false, "https://agents.example.com.evil.org": false, "http://agents.example.com": false, "http://localhost.evil.org": false,
		"http://localhost@evil.org": false, "http://evil.org/localhost": false, "file://localhost": false, "localhost": false, "http://localhost, http://evil.org": false, "http://127.0.0.1.evil.org": false,
	} {
		r := f.do("POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, append([]string{"Origin", origin}, js...)...)
		if !allowed {
			wantProblem(t, r, 403, "forbidden")
		} else if r.StatusCode != 200 {
			t.Errorf("%s: %s", origin, r)
		}
	}
	for _, name := range []string{"Origin: http://evil.org", "MCP-Protocol-Version: 2025-11-25", "Mcp-Method: ping", "mcp-name: x"} {
		c := f.dial()
		first := strings.Replace(name, "evil.org", "localhost", 1)
		c.write("POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + first + "\r\n" + name + "\r\nContent-Length: 40\r\n\r\n" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		if r := c.read(); r.StatusCode != 400 && r.StatusCode != 403 || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s twice: %s", name, r)
		}
	}
	// Who only wants to know the tools need not wait for the cluster.
	f = start(t, func(o *options) { o.Catalogue = catalogue.New(identify, nil) })
	d := wantProblem(t, f.ask("tools/call", "list_backends", ""), 503, "service-unavailable")
	if !strings.Contains(d.Detail, "starting") {
		t.Error(d.Detail)
	}
	if r := f.ask("tools/list", "", ""); r.StatusCode != 200 {
		t.Error(r)
	}
}

// Errors of the protocol have the statuses that it wants, and nothing but JSON-RPC.
func TestMCPErrorsOfTheProtocol(t *testing.T) {
	f := start(t, nil)
	for _, q := range []struct {
		r      *response
		status int
		code   int
	}{
		{f.ask("resources/list", "", ""), 404, -32601},
		{f.ask("tools/call", "no_such_tool", ""), 200, -32602},
		{f.do("POST", "/mcp", stateless("ping", ""), "Content-Type", "application/json"), 400, -32020},
		{f.do("POST", "/mcp", "", "Content-Type", "application/json"), 400, -32700},
		{f.do("POST", "/mcp", "{", "Content-Type", "application/json", "MCP-Protocol-Version", "2099-01-01"), 400, -32022},
	} {
		var result toolResult
		if err := json.Unmarshal(q.r.body, &result); err != nil || q.r.StatusCode != q.status || result.Error.Code != q.code || q.r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("want %d, %d: %s", q.status, q.code, q.r)
		}
	}
	if r := f.do("POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Content-Type", "application/json"); r.StatusCode != http.StatusAccepted || len(r.body) > 0 || r.Header.Get("Content-Type") != "" {
		t.Error(r)
	}
}

// The right to get /mcp is enough for all tools, since they only read.
func TestMCPNeedsARight(t *testing.T) {
	reg := newRegistry()
	reg.may["agent"] = []string{"get /dynamic-toolset/mcp"}
	f := authorizing(t, reg, func(o *options) { o.RateLimit = slowly })
	wantProblem(t, f.ask("tools/list", "", ""), 401, "unauthorized")
	wantProblem(t, f.ask("tools/list", "", "", "Authorization", "Bearer reader"), 403, "forbidden")
	if r := f.ask("tools/call", "list_backends", "", "Authorization", "Bearer agent"); r.StatusCode != 200 {
		t.Error(r)
	}
	for range 20 { // a message is a request, also for the rate limit
		if r := f.ask("tools/list", "", "", "Authorization", "Bearer agent"); r.StatusCode == 429 {
			wantProblem(t, r, 429, "too-many-requests")
			return
		}
	}
	t.Error("no limit")
}

// A call during the drain is answered, and says that the connection ends.
func TestMCPDuringTheDrain(t *testing.T) {
	f := start(t, func(o *options) { o.PropagationDelay, o.IdleGrace = 50*time.Millisecond, 5*time.Second })
	c := f.dial()
	body := stateless("tools/call", `"name":"list_backends"`)
	call := fmt.Sprintf("POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: list_backends\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	c.write(call)
	if r := c.read(); r.StatusCode != 200 || r.Close {
		t.Fatal(r)
	}
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	c.write(call)
	if r := c.read(); r.StatusCode != 200 || !r.Close || !strings.Contains(string(r.body), `"total":4`) {
		t.Error(r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
