package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/jsonobject"
)

var errStarting = errors.New("starting")

func newServer() *Server {
	return New(Options{
		Name: "dynamic-toolset", Version: `1"`, Instructions: "Ask <me>.", Definitions: []byte(`[{"name":"echo","inputSchema":{"type":"object"}}]`), Tools: []string{"echo", "starting"},
		Call: func(_ context.Context, tool string, arguments []byte) ([]byte, string, error) {
			switch {
			case tool == "starting":
				return nil, "", errStarting
			case string(arguments) == `{}`:
				return nil, `there is "nothing"`, nil
			}
			return arguments, "", nil
		},
	})
}

// meta is what a request of the stateless revision has.
const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

func request(method, params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + strings.Trim(params+","+meta, ",") + `}}`
}

const serverInfo = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"dynamic-toolset","version":"1\""}}`

func TestAnswers(t *testing.T) {
	call := func(arguments string) string { return `"name":"echo","arguments":` + arguments }
	old := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":"a","method":"` + method + `","params":` + params + `}`
	}
	for _, q := range []struct {
		header string // version, method, name
		body   string
		status int
		want   string // the beginning of the answer; the whole one if it ends with }
	}{
		// The stateless revision.
		{"2026-07-28 server/discover", request("server/discover", ""), 200, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"capabilities":{"tools":{}},"instructions":"Ask \u003cme\u003e.","ttlMs":300000,"cacheScope":"public",` + serverInfo + `}}`},
		{"2026-07-28 tools/list", request("tools/list", ""), 200, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],"ttlMs":300000,"cacheScope":"public",` + serverInfo + `}}`},
		{"2026-07-28 tools/list", request("tools/list", `"cursor":"x"`), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602`},
		{"2026-07-28 tools/call echo", request("tools/call", call(`{"a":"\"é\\"}`)), 200, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"{\"a\":\"\\\"é\\\\\"}"}],"structuredContent":{"a":"\"é\\"},` + serverInfo + `}}`},
		{"2026-07-28 tools/call echo", request("tools/call", call(`{}`)), 200, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content":[{"type":"text","text":"there is \"nothing\""}],"isError":true,` + serverInfo + `}}`},
		{"2026-07-28 tools/call =?base64?ZWNobw==?=", request("tools/call", `"name":"echo"`), 200, `{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","content"`},
		{"2026-07-28 tools/call nothing", request("tools/call", `"name":"nothing"`), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: \"nothing\"; there are echo, starting"}}`},
		{"2026-07-28 prompts/list", request("prompts/list", ""), 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found: \"prompts/list\""}}`},
		{"2026-07-28 ping", request("ping", ""), 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601`},
		{"2026-07-28 initialize", request("initialize", `"protocolVersion":"2025-11-25"`), 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601`},
		{"2026-07-28", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, 202, ``},
		{"2026-07-28", `{"jsonrpc":"2.0","id":1,"result":{}}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"2026-07-28", `[` + request("tools/list", "") + `]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		// Header and body differ, or one of them is not enough.
		{"", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch: the header MCP-Protocol-Version is missing"}}`},
		{"2025-11-25 tools/list", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020`},
		{"2026-07-28", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch: the header Mcp-Method is missing"}}`},
		{"2026-07-28 tools/call", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020`},
		{"2026-07-28 Tools/List", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020`},
		{"2026-07-28 tools/call", request("tools/call", `"name":"echo"`), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch: the header Mcp-Name is missing"}}`},
		{"2026-07-28 tools/call Echo", request("tools/call", `"name":"echo"`), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020`},
		{"2026-07-28 tools/call =?base64?!?=", request("tools/call", `"name":"echo"`), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020`},
		{"2026-07-28 tools/call echo", request("tools/call", `"Name":"echo"`), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: params.name is missing: the name of a tool"}}`},
		{"2026-07-28 tools/list", old("tools/list", `{}`), 400, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Invalid params: params._meta is missing; revision 2026-07-28 wants an object with io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities"}}`},
		{"2026-07-28 tools/list", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: params._meta is missing`},
		{"2026-07-28 tools/list", old("tools/list", `{"_meta":{}}`), 400, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Invalid params: params._meta has no io.modelcontextprotocol/protocolVersion"}}`},
		// The SDK for Go sends the ping of the revisions before.
		{"2026-07-28 ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"2026-07-28", old("ping", `{}`), 200, `{"jsonrpc":"2.0","id":"a","result":{}}`},
		{"2026-07-28 tools/call echo", old("ping", `{}`), 400, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2026-07-28 ping", old("ping", `{"_meta":{}}`), 400, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2026-07-28 tools/list", strings.Replace(request("tools/list", ""), `Capabilities":{}`, `Capabilities":[]`, 1), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602`},
		{"2026-07-28 tools/list", strings.Replace(request("tools/list", ""), `"name":"c",`, ``, 1), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602`},
		{"2026-07-28 tools/list", strings.Replace(request("tools/list", ""), `"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},`, ``, 1), 200, `{"jsonrpc":"2.0","id":1,"result":{`},
		{"2027-01-01 tools/list", request("tools/list", ""), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"2027-01-01"}}}`},
		{"1900-01-01", `nonsense`, 400, `{"jsonrpc":"2.0","error":{"code":-32022`},
		// Those before it.
		{"", old("initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"dynamic-toolset","version":"1\""},"instructions":"Ask \u003cme\u003e."}}`},
		{"", old("initialize", `{"protocolVersion":"2024-11-05"}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"protocolVersion":"2025-11-25"`},
		{"", old("initialize", `{"protocolVersion":"2026-07-28"}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"protocolVersion":"2025-11-25"`},
		{"", old("initialize", `{}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Invalid params: params.protocolVersion is missing`},
		{"", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: params.protocolVersion is missing`},
		{"2025-11-25", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: params.name is missing`},
		{"2025-11-25", old("tools/call", `{"arguments":{}}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Invalid params: params.name is missing`},
		{"2025-11-25", old("tools/call", `{"name":""}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Unknown tool: \"\"`},
		{"2025-11-25", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202, ``},
		{"2025-11-25", old("ping", `{}`), 200, `{"jsonrpc":"2.0","id":"a","result":{}}`},
		{"2025-06-18", old("tools/list", `{"cursor":null}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}`},
		{"2025-03-26", old("tools/call", `{"name":"echo","arguments":{"a":1},"_meta":{"progressToken":1}}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a":1}}}`},
		{"2025-11-25", old("tools/call", `{"name":"echo","arguments":null}`), 200, `{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"there is \"nothing\""}],"isError":true}}`},
		{"2025-11-25", old("tools/call", `{"name":7}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2025-11-25", old("tools/call", `{"name":"echo","arguments":[]}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2025-11-25", old("tools/call", `[]`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2025-11-25", old("resources/list", `{}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32601`},
		{"2025-11-25", `{"jsonrpc":"2.0","id":1,"result":{}}`, 202, ``},
		// Batches are only in the first of them.
		{"", `[` + old("ping", `{}`) + `,{"jsonrpc":"2.0","method":"notifications/initialized"},7,` + old("nothing", `{}`) + `]`, 200, `[{"jsonrpc":"2.0","id":"a","result":{}},{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request: a message is an object"}},{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"Method not found: \"nothing\""}}]`},
		{"", `[{"jsonrpc":"2.0","method":"notifications/initialized"}]`, 202, ``},
		{"", `[]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `[` + strings.Repeat(`{},`, 16) + `{}]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `[[` + old("ping", `{}`) + `]]`, 200, `[{"jsonrpc":"2.0","error":{"code":-32600`},
		{"2025-06-18", `[` + old("ping", `{}`) + `]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		// What is no message.
		{"", ``, 400, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{"", `{"jsonrpc":"2.0","id":1,"method":"ping"`, 400, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{"", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", 400, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{"", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}}`, 400, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{"", `{"id":1,"method":"ping"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600`},
		{"", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":1}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid request: there is no method"}}`},
		{"", `{"jsonrpc":"2.0","id":1,"Method":"ping"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid request: method is there twice"}}`},
		{"", `{"jsonrpc":"2.0","id":1,"method":7}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":1e999,"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":` + strings.Repeat("9", 200) + `,"method":"ping"}`, 200, `{"jsonrpc":"2.0","id":` + strings.Repeat("9", 200) + `,"result":{}}`},
		{"", `{"jsonrpc":"2.0","id":"` + strings.Repeat("9", 300) + `","method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{"", `{"jsonrpc":"2.0","id":"\ud800\"","method":"ping"}`, 200, `{"jsonrpc":"2.0","id":"\ud800\"","result":{}}`},
		{"", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 1000) + `"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found: \"` + strings.Repeat("x", 64) + `...\""}}`},
		{"", old("ping", `{"_meta":{},"_meta":{}}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Invalid params: _meta is there twice"}}`},
		{"", old("ping", `{"_meta":[]}`), 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32602`},
		{"2026-07-28 ping", strings.Replace(request("ping", ""), `"_meta":{`, `"_meta":{"io.modelcontextprotocol/protocolVersion":"x",`, 1), 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params: io.modelcontextprotocol/protocolVersion is there twice"}}`},
	} {
		r := newServer().Answer(t.Context(), headerOf(q.header), []byte(q.body))
		whole := strings.HasSuffix(q.want, "}") || strings.HasSuffix(q.want, "]") || q.want == ""
		if r.Status != q.status || !strings.HasPrefix(string(r.Body), q.want) || whole && string(r.Body) != q.want || r.Err != nil {
			t.Errorf("[%s] %.300s\nanswer %d %s\nwant   %d %s", q.header, q.body, r.Status, r.Body, q.status, q.want)
		}
		if r.Body != nil && !json.Valid(r.Body) {
			t.Errorf("%s is not JSON", r.Body)
		}
	}
}

func headerOf(fields string) *Header {
	f := append(strings.SplitN(fields, " ", 3), "", "")
	return &Header{[]byte(f[0]), []byte(f[1]), []byte(f[2])}
}

// Who asks too early is told so by the transport.
func TestErrorsOfCalls(t *testing.T) {
	r := newServer().Answer(t.Context(), headerOf("2025-11-25"), []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"starting"}}`))
	if !errors.Is(r.Err, errStarting) || r.Body != nil || r.Tool != "starting" {
		t.Errorf("%+v", r)
	}
	r = newServer().Answer(t.Context(), headerOf(""), []byte(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"starting"}}]`))
	if !errors.Is(r.Err, errStarting) || r.Body != nil {
		t.Errorf("%+v", r)
	}
}

func TestLines(t *testing.T) {
	in := strings.Join([]string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, ``, "  \r",
		`[{"jsonrpc":"2.0","id":2,"method":"ping"}]`,
		`{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`,
		`[{"jsonrpc":"2.0","id":4,"method":"ping"}]`, // the client has chosen a revision without batches
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":5,"method":"x","params":{"y":"` + strings.Repeat("z", maxLine) + `"}}`,
		request("server/discover", ""), // no header is needed here
		strings.Replace(request("tools/list", ""), "2026-07-28", "1900-01-01", 1),
		`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"echo","arguments":{"a":1}}}`, // the last line, without an end
	}, "\n")
	want := []string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[{"jsonrpc":"2.0","id":2,"result":{}}]`, `{"jsonrpc":"2.0","id":3,"result":{"protocolVersion":"2025-11-25"`,
		`{"jsonrpc":"2.0","error":{"code":-32600`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request: the message is longer than 1 MiB"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions"`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022`,
		`{"jsonrpc":"2.0","id":6,"result":{"content"`,
	}
	var out bytes.Buffer
	if err := newServer().ServeLines(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d: %s, want %s", i, got[i], want[i])
		}
	}
	for what, err := range map[string]error{
		"reading": newServer().ServeLines(t.Context(), io.MultiReader(strings.NewReader("{"), broken{}), io.Discard),
		"writing": newServer().ServeLines(t.Context(), strings.NewReader("{}\n"), broken{}),
		"a call":  newServer().ServeLines(t.Context(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"starting"}}`), io.Discard),
	} {
		if err == nil {
			t.Error(what, "fails, and nobody is told")
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errors.New("broken") }
func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

// Whatever is sent, each request is answered with its id, and nothing else is answered with
// a result.
func FuzzMessages(f *testing.F) {
	for _, body := range []string{
		request("tools/call", `"name":"echo","arguments":{"a":[1]}`), request("server/discover", ""), `[{"jsonrpc":"2.0","id":1,"method":"ping"},7]`,
		`{"jsonrpc":"2.0","id":"\u0061","method":"initialize","params":{"protocolVersion":"2025-03-26"}}`, `{"jsonrpc":"2.0","method":"x"}`, `{`, `{"jsonrpc":"2.0","id":-0,"result":null}`,
	} {
		f.Add("2026-07-28", "tools/call", "echo", body)
		f.Add("", "", "", body)
		f.Add("2025-11-25", "", "=?base64?ZWNobw==?=", body)
	}
	s := newServer()
	f.Fuzz(func(t *testing.T, version, method, name, body string) {
		r := s.Answer(t.Context(), &Header{[]byte(version), []byte(method), []byte(name)}, []byte(body))
		if r.Err != nil {
			return
		}
		if (r.Status == 202) != (r.Body == nil) || r.Status != 200 && r.Status != 202 && r.Status != 400 && r.Status != 404 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		if r.Body == nil || r.Body[0] == '[' {
			return
		}
		if !json.Valid(r.Body) || bytes.ContainsAny(r.Body, "\n") && !strings.Contains(body, "\n") {
			t.Fatalf("%s is no line of JSON", r.Body)
		}
		if member(r.Body, "result") != "" && member(r.Body, "id") != member([]byte(body), "id") {
			t.Fatalf("%s is answered with %s", body, r.Body)
		}
	})
}

func member(doc []byte, name string) string {
	for n, value := range jsonobject.Members(doc) {
		if string(n) == name {
			return string(value)
		}
	}
	return ""
}
