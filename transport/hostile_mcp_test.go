package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// isRPCError reports whether a body is an error of JSON-RPC, and nothing else. Clients of MCP
// tell the revision of a server by that.
func isRPCError(contentType string, body []byte) bool {
	var e struct {
		JSONRPC string           `json:"jsonrpc"`
		ID      *json.RawMessage `json:"id"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Data    any    `json:"data"`
		} `json:"error"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return contentType == "application/json" && d.Decode(&e) == nil && e.JSONRPC == "2.0" && e.Error != nil && e.Error.Code < 0 && e.Error.Message != "" && (e.ID == nil || string(*e.ID) != "null")
}

// messages are hostile messages of the Model Context Protocol.
func messages() (all []hostile) {
	add := func(name, fields, body, want string) {
		all = append(all, hostile{name: "message: " + name, want: want, api: true, send: "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + fields +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body})
	}
	const modern = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: list_backends\r\n"
	ping := func(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}` }
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
	}

	for _, body := range []string{
		"", " ", "null", "1", `"x"`, "{", "{}", "[]", "[1,]", "\xef\xbb\xbf" + ping("1"), ping("1") + "{}", ping("1") + "\x00", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xc3\"}",
		strings.Repeat("[", 4000), strings.Repeat(`{"a":`, 700), strings.Repeat("[", 65) + strings.Repeat("]", 65), `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
		"[" + strings.Repeat(ping("1")+",", 16) + ping("1") + "]",
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}`, `{"JSONRPC":"2.0","ID":1,"METHOD":"ping"}`, `{"jsonrpc":2.0,"id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"method":["ping"]}`, `{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`,
	} {
		add(short(body), "", body, "400 open")
	}
	for _, id := range []string{"null", "true", "{}", "[]", "1.5", "1e9", "-1e999", strings.Repeat("9", 3000), `"` + strings.Repeat("x", 3000) + `"`} {
		add("id "+short(id), "", ping(id), "400 open")
	}
	for _, id := range []string{"0", "-0", "-7", "18446744073709551616", strings.Repeat("9", 256), `""`, `"\u0000"`, `"\ud800"`, `"</script>"`, `"__proto__"`} {
		add("id that is sent back "+short(id), "", ping(id), "200 open")
	}
	for _, method := range []string{"", "no/such", "tools/call\\u0000", "Ping", "constructor", strings.Repeat("x", 3000)} {
		add("method "+short(method), "", `{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`, "200 open")
	}
	for _, params := range []string{
		`null`, `[]`, `{}`, `{"name":null}`, `{"name":"LIST_BACKENDS"}`, `{"name":"list_backends","name":"get_backend"}`, `{"name":"list_backends","arguments":[]}`, `{"name":"list_backends","arguments":{"__proto__":{}}}`,
		`{"name":"list_backends","arguments":{` + strings.Repeat(`"a":1,`, 500) + `"a":1}}`, `{"name":"get_backend","arguments":{"name":"../../etc/passwd\u0000"}}`,
		`{"name":"explain_service","arguments":{"namespace":"a/b","name":"%2e%2e"}}`, `{"name":"list_backends","arguments":{"limit":-1e308}}`, `{"name":"list_backends","arguments":{"continue":"YWEvYg\n"}}`,
	} {
		add("params "+short(params), "", call(params), "200 open")
	}
	for _, version := range []string{"1900-01-01", "2026-07-29", "9999-99-99", "2026-07-28, 2025-11-25", "latest", strings.Repeat("9", 2000)} {
		add("version "+short(version), "MCP-Protocol-Version: "+version+"\r\n", ping("1"), "400 open")
	}
	add("header of another tool", strings.Replace(modern, "list_backends", "get_backend", 1), stateless("tools/call", `"name":"list_backends"`), "400 open")
	add("header of another method", strings.Replace(modern, "tools/call", "tools/list", 1), stateless("tools/call", `"name":"list_backends"`), "400 open")
	add("unknown method of 2026-07-28", "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: no/such\r\n", stateless("no/such", ""), "404 open")
	add("base64 without end", strings.Replace(modern, "list_backends", "=?base64?bGlzdF9iYWNrZW5kcw==", 1), stateless("tools/call", `"name":"list_backends"`), "400 open")
	add("header twice", modern+"mcp-name: get_backend\r\n", stateless("tools/call", `"name":"list_backends"`), "400 open")
	add("control character in a header", strings.Replace(modern, "list_backends", "list\x01backends", 1), stateless("tools/call", `"name":"list_backends"`), "400 closed")
	add("origin", "Origin: http://evil.example.com\r\n", ping("1"), "403 open")
	add("two origins", "Origin: http://localhost\r\nOrigin: http://evil.example.com\r\n", ping("1"), "403 open")
	return all
}
