// Package mcp answers messages of the Model Context Protocol (MCP), by which agents use
// tools. It speaks the stateless revision 2026-07-28, and those before it that begin with
// initialize, from 2025-03-26 on. It keeps nothing between two messages, so that any
// replica can answer each.
//
// A [Server] is given the body of a message and the header fields that repeat parts of it,
// and returns the response with the HTTP status that the protocol wants for it. It knows no
// HTTP library, and not what the tools do. [Server.ServeLines] does the same for messages on
// lines, the transport stdio.
//
// The specification is at https://modelcontextprotocol.io/specification/2026-07-28; comments
// name its pages. The official SDK for Go is not used here, but in the tests, as a client:
// docs/mcp.md has the measurements.
package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/jsonobject"
)

// The revisions of the protocol.
const (
	version20250326 = "2025-03-26"
	version20250618 = "2025-06-18"
	version20251125 = "2025-11-25"
	version20260728 = "2026-07-28"
)

// Versions are the revisions that are spoken, the newest first. All but the first are
// legacy: they begin with initialize.
var Versions = []string{version20260728, version20251125, version20250618, version20250326}

// Codes of errors, of JSON-RPC 2.0 (section 5.1) and of MCP (basic, "Error Codes").
const (
	codeParse              = -32700
	codeInvalidRequest     = -32600
	codeMethodNotFound     = -32601
	codeInvalidParams      = -32602
	codeInternal           = -32603
	codeHeaderMismatch     = -32020
	codeUnsupportedVersion = -32022
)

// Options configure a Server. All fields are required.
type Options struct {
	Name, Version string // of this server
	// Instructions tell agents what the tools are for.
	Instructions string
	// Definitions is a JSON array with the definitions of the tools, as in tools/list.
	Definitions []byte
	// Tools are the names of the tools.
	Tools []string
	// Call calls one of Tools. arguments and result are JSON objects, and result is
	// compact. failure, if not empty, tells the agent why there is no result. With an
	// error the message is not answered at all; see [Reply].
	Call func(ctx context.Context, tool string, arguments []byte) (result []byte, failure string, err error)
}

// A Server answers messages. Its methods may be called concurrently.
type Server struct {
	o Options
	// Parts of results that are always the same.
	list, discover []byte // of the stateless revision
	oldList        []byte
	initialized    []byte // the result of initialize, after the version
	meta           []byte // the end of each result of the stateless revision
}

// cacheFor is how long clients may keep the list of tools, in milliseconds. It changes with
// the version of this service alone.
const cacheFor = `"ttlMs":300000,"cacheScope":"public"`

// New returns a Server.
func New(o Options) *Server {
	s := &Server{o: o}
	info := `{"name":` + quote(o.Name) + `,"version":` + quote(o.Version) + `}`
	s.meta = []byte(`,"_meta":{"io.modelcontextprotocol/serverInfo":` + info + `}}`)
	const capabilities = `"capabilities":{"tools":{}}`
	s.initialized = []byte(`,` + capabilities + `,"serverInfo":` + info + `,"instructions":` + quote(o.Instructions) + `}`)
	s.oldList = []byte(`{"tools":` + string(o.Definitions) + `}`)
	s.list = []byte(`{"resultType":"complete","tools":` + string(o.Definitions) + `,` + cacheFor + string(s.meta))
	s.discover = []byte(`{"resultType":"complete","supportedVersions":["` + strings.Join(Versions, `","`) + `"],` + capabilities +
		`,"instructions":` + quote(o.Instructions) + `,` + cacheFor + string(s.meta))
	return s
}

// A Reply is the answer to a message.
type Reply struct {
	// Status is the HTTP status: 200 with a response, 202 if a message needs none, 400 or
	// 404 with a response that is an error.
	Status int
	// Body is the response in JSON-RPC; nil with 202.
	Body []byte
	// Tool is the tool that was called, if it was one of Options.Tools; Failed means that
	// the agent was told why it has no result.
	Tool   string
	Failed bool
	// Err is an error of Options.Call. The rest is not set then.
	Err error
}

// Header has the fields of an HTTP request that repeat what is in the body; nil where the
// request has none.
type Header struct{ Version, Method, Name []byte }

const (
	maxDepth = 64  // of nested arrays and objects in a message
	maxID    = 256 // length of an id in bytes
	maxBatch = 16  // messages in one batch
)

// Answer answers the body of a POST (transports/streamable-http).
func (s *Server) Answer(ctx context.Context, h *Header, body []byte) Reply {
	if len(h.Version) > 0 && !slices.Contains(Versions, string(h.Version)) {
		id := []byte(nil)
		if jsonobject.Valid(body, maxDepth) {
			id = read(body).id
		}
		return unsupported(id, string(h.Version))
	}
	version := version20250326 // a client of that revision sends no such field
	if len(h.Version) > 0 {
		version = string(h.Version)
	}
	return s.answer(ctx, &session{header: h, version: version}, body)
}

// A session is what is known about the sender of a message besides the message.
type session struct {
	header  *Header // nil if the transport has none
	version string  // the revision for messages that name none
}

// answer answers a message, or a batch of them.
func (s *Server) answer(ctx context.Context, c *session, body []byte) Reply {
	switch {
	case !jsonobject.Valid(body, maxDepth):
		return failed(400, nil, codeParse, "Parse error: the message is not JSON in UTF-8, or nested deeper than 64 levels")
	case jsonobject.Kind(body) == '[' && c.version == version20250326:
		return s.batch(ctx, c, body)
	case jsonobject.Kind(body) == '[':
		return failed(400, nil, codeInvalidRequest, "Invalid request: there are no batches in revision "+c.version+"; send each message by itself")
	}
	return s.one(ctx, c, body)
}

// batch answers a batch, which only revision 2025-03-26 has. The bound keeps a single
// request from being many.
func (s *Server) batch(ctx context.Context, c *session, body []byte) Reply {
	n := 0
	for range jsonobject.Elements(body) {
		n++
	}
	if n == 0 || n > maxBatch {
		return failed(400, nil, codeInvalidRequest, "Invalid request: a batch must have 1 to 16 messages")
	}
	all := Reply{Status: 202}
	for message := range jsonobject.Elements(body) {
		r := s.one(ctx, c, message)
		if r.Err != nil {
			return r
		}
		if r.Body == nil {
			continue
		}
		separator := byte(',')
		if all.Body == nil {
			separator = '['
		}
		all.Body = append(append(all.Body, separator), r.Body...)
		all.Status, all.Tool, all.Failed = 200, r.Tool, all.Failed || r.Failed
	}
	if all.Body != nil {
		all.Body = append(all.Body, ']')
	}
	return all
}

// one answers a single message.
func (s *Server) one(ctx context.Context, c *session, body []byte) Reply {
	m := read(body)
	switch {
	case m.wrong != "":
		return failed(400, m.id, codeInvalidRequest, "Invalid request: "+m.wrong)
	case m.response && c.version == version20260728:
		return failed(400, nil, codeInvalidRequest, "Invalid request: clients send no responses in revision 2026-07-28")
	case m.response || m.id == nil: // a notification: nothing waits for it here
		return Reply{Status: 202}
	}
	p, wrong := m.readParams()
	if wrong != "" {
		status := 200
		if c.version == version20260728 {
			status = 400
		}
		return failed(status, m.id, codeInvalidParams, "Invalid params: "+wrong)
	}
	version, refused := c.agree(m, p)
	if refused != nil {
		return *refused
	}
	if version == version20260728 {
		return s.stateless(ctx, m, p)
	}
	return s.legacy(ctx, c, m, p)
}

// stateless answers a request of revision 2026-07-28.
func (s *Server) stateless(ctx context.Context, m *message, p *params) Reply {
	switch m.method {
	case "server/discover":
		return result(m.id, s.discover)
	case "tools/list":
		if refused := p.onlyPage(m.id); refused != nil {
			return *refused
		}
		return result(m.id, s.list)
	case "tools/call":
		return s.call(ctx, m, p, true)
	}
	return failed(404, m.id, codeMethodNotFound, "Method not found: "+shown(m.method))
}

// legacy answers a request of a revision that begins with initialize.
func (s *Server) legacy(ctx context.Context, c *session, m *message, p *params) Reply {
	switch m.method {
	case "initialize":
		if p.version == "" {
			return failed(200, m.id, codeInvalidParams, "Invalid params: params.protocolVersion is missing: the revision of the protocol, such as "+version20251125)
		}
		c.version = version20251125 // the newest that begins with initialize
		if slices.Contains(Versions[1:], p.version) {
			c.version = p.version
		}
		return result(m.id, []byte(`{"protocolVersion":"`+c.version+`"`), s.initialized)
	case "ping":
		return result(m.id, []byte(`{}`))
	case "tools/list":
		if refused := p.onlyPage(m.id); refused != nil {
			return *refused
		}
		return result(m.id, s.oldList)
	case "tools/call":
		return s.call(ctx, m, p, false)
	}
	return failed(200, m.id, codeMethodNotFound, "Method not found: "+shown(m.method))
}

// call calls a tool (server/tools, "Calling Tools" and "Error Handling").
func (s *Server) call(ctx context.Context, m *message, p *params, stateless bool) Reply {
	if !p.named {
		return failed(200, m.id, codeInvalidParams, "Invalid params: params.name is missing: the name of a tool; there are "+strings.Join(s.o.Tools, ", "))
	}
	if !slices.Contains(s.o.Tools, p.name) {
		return failed(200, m.id, codeInvalidParams, "Unknown tool: "+shown(p.name)+"; there are "+strings.Join(s.o.Tools, ", "))
	}
	out, failure, err := s.o.Call(ctx, p.name, p.arguments)
	if err != nil {
		return Reply{Tool: p.name, Failed: true, Err: err}
	}
	b := make([]byte, 0, len(m.id)+2*len(out)+len(out)/8+len(failure)+len(s.meta)+160)
	b = begin(b, m.id)
	b = append(b, `"result":{`...)
	if stateless {
		b = append(b, `"resultType":"complete",`...)
	}
	b = append(b, `"content":[{"type":"text","text":`...)
	if failure != "" {
		b = append(append(b, quote(failure)...), `}],"isError":true`...)
	} else {
		// The text has the same JSON, for clients that know no structured content.
		b = append(jsonobject.AppendText(b, out), `}],"structuredContent":`...)
		b = append(b, out...)
	}
	if stateless {
		b = append(append(b, s.meta...), '}')
	} else {
		b = append(b, `}}`...)
	}
	return Reply{Status: 200, Body: b, Tool: p.name, Failed: failure != ""}
}

// begin appends the beginning of a response. Without an id it has none: the protocol allows
// no null there (basic, "Error Responses").
func begin(b, id []byte) []byte {
	b = append(b, `{"jsonrpc":"2.0",`...)
	if id != nil {
		b = append(append(append(b, `"id":`...), id...), ',')
	}
	return b
}

func result(id []byte, parts ...[]byte) Reply {
	n := len(id) + 40
	for _, p := range parts {
		n += len(p)
	}
	b := append(begin(make([]byte, 0, n), id), `"result":`...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return Reply{Status: 200, Body: append(b, '}')}
}

// An rpcError is the error in a response.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func failed(status int, id []byte, code int, message string) Reply {
	return failedWith(status, id, rpcError{Code: code, Message: message})
}

func failedWith(status int, id []byte, e rpcError) Reply {
	text, err := json.Marshal(e)
	if err != nil { // texts and numbers always marshal
		panic(err)
	}
	b := append(begin(nil, id), `"error":`...)
	return Reply{Status: status, Body: append(append(b, text...), '}')}
}

// unsupported answers a request of a revision that is not spoken (basic/versioning).
func unsupported(id []byte, requested string) Reply {
	return failedWith(400, id, rpcError{codeUnsupportedVersion, "Unsupported protocol version", struct {
		Supported []string `json:"supported"`
		Requested string   `json:"requested"`
	}{Versions, cut(requested)}})
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(err)
	}
	return string(b)
}

// shown returns what a client has sent, for an error.
func shown(s string) string { return quote(cut(s)) }

func cut(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}
