package mcp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"

	"kubernaut.io/dynamic-toolset/internal/jsonobject"
)

// A message is a request, a notification or a response (JSON-RPC 2.0, sections 4 and 5).
type message struct {
	id       []byte // as it was sent; nil for a notification
	method   string
	params   []byte // nil if there are none
	response bool
	wrong    string // what is wrong with it; empty if nothing is
}

// read reads a message, a valid JSON value.
func read(body []byte) *message {
	m := &message{}
	if jsonobject.Kind(body) != '{' {
		m.wrong = "a message is an object"
		return m
	}
	bad := func(what string) {
		if m.wrong == "" {
			m.wrong = what
		}
	}
	var seen members
	version := false
	for name, value := range jsonobject.Members(body) {
		switch string(name) {
		case "jsonrpc":
			version = string(value) == `"2.0"`
		case "id":
			if validID(value) {
				m.id = value
			} else {
				bad("the id must be a string or an integer of at most 256 bytes")
			}
		case "method":
			var ok bool
			if m.method, ok = jsonobject.Text(value); !ok {
				bad("the method must be a string")
			}
		case "params":
			m.params = value
		case "result", "error":
			m.response = true
		default:
			continue
		}
		if seen.has(name) { // readers differ in which of two they take
			bad(string(name) + " is there twice")
		}
		seen.add(name)
	}
	switch {
	case !version:
		bad(`jsonrpc must be "2.0"`)
	case !m.response && !seen.has([]byte("method")):
		bad("there is no method")
	case m.response && seen.has([]byte("method")):
		bad("it is a request and a response")
	}
	return m
}

// members are names that an object has; those that it may have are few.
type members struct {
	names [8][]byte
	n     int
}

func (m *members) has(name []byte) bool {
	for _, n := range m.names[:m.n] {
		if bytes.Equal(n, name) {
			return true
		}
	}
	return false
}

func (m *members) add(name []byte) {
	if !m.has(name) {
		m.names[m.n] = name
		m.n++
	}
}

// validID reports whether an id is a string or an integer that can be sent back as it is.
func validID(id []byte) bool {
	switch kind := jsonobject.Kind(id); {
	case len(id) > maxID:
		return false
	case kind == '0':
		return !bytes.ContainsAny(id, ".eE")
	default:
		return kind == '"'
	}
}

// The members of _meta that every request of the stateless revision has (basic, "_meta").
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
)

// params are the parameters that any of the methods has.
type params struct {
	name      string // of the tool
	named     bool   // name is there
	arguments []byte // of the call; an object
	cursor    []byte // of the list; nil if there is none
	version   string // of initialize

	// Of _meta. hasVersion means that there is a metaVersion.
	hasMeta                  bool
	metaVersion              string
	hasVersion, capabilities bool
	clientWrong              bool
}

// readParams reads the parameters, or says what is wrong with them.
func (m *message) readParams() (p *params, wrong string) {
	p = &params{arguments: []byte(`{}`)}
	if m.params == nil {
		return p, ""
	}
	if jsonobject.Kind(m.params) != '{' {
		return nil, "they must be an object"
	}
	var seen members
	for name, value := range jsonobject.Members(m.params) {
		var ok bool
		switch string(name) {
		case "name":
			if p.name, ok = jsonobject.Text(value); !ok && m.method == "tools/call" {
				return nil, "name must be a string"
			}
			p.named = ok
		case "arguments":
			switch {
			case jsonobject.Kind(value) == '{':
				p.arguments = value
			case jsonobject.Kind(value) != 'n' && m.method == "tools/call":
				return nil, "arguments must be an object"
			}
		case "cursor":
			if jsonobject.Kind(value) != 'n' {
				p.cursor = value
			}
		case "protocolVersion":
			p.version, _ = jsonobject.Text(value)
		case "_meta":
			if jsonobject.Kind(value) != '{' {
				return nil, "_meta must be an object"
			}
			p.hasMeta = true
			if wrong := p.readMeta(value); wrong != "" {
				return nil, wrong
			}
		default:
			continue
		}
		if seen.has(name) {
			return nil, string(name) + " is there twice"
		}
		seen.add(name)
	}
	return p, ""
}

func (p *params) readMeta(meta []byte) (wrong string) {
	for name, value := range jsonobject.Members(meta) {
		switch string(name) {
		case metaVersion:
			if p.hasVersion {
				return metaVersion + " is there twice"
			}
			p.hasVersion = true
			p.metaVersion, _ = jsonobject.Text(value)
		case metaCapabilities:
			p.capabilities = jsonobject.Kind(value) == '{'
		case metaClient:
			p.clientWrong = !isImplementation(value)
		}
	}
	return ""
}

// isImplementation reports whether value has a name and a version.
func isImplementation(value []byte) bool {
	name, version := false, false
	for member, v := range jsonobject.Members(value) {
		switch string(member) {
		case "name":
			name = jsonobject.Kind(v) == '"'
		case "version":
			version = jsonobject.Kind(v) == '"'
		}
	}
	return name && version
}

// onlyPage refuses a cursor: the list of tools has one page, so nobody was given one.
func (p *params) onlyPage(id []byte) *Reply {
	if p.cursor == nil {
		return nil
	}
	r := failed(200, id, codeInvalidParams, "Invalid params: the list has one page, and no cursor")
	return &r
}

// agree returns the revision of a request. It refuses one whose header and body say
// different things, or that leaves out what its revision requires (streamable-http, "Server
// Validation"; basic, "_meta").
func (c *session) agree(m *message, p *params) (version string, refused *Reply) {
	refuse := func(code int, format string, args ...any) (string, *Reply) {
		r := failed(400, m.id, code, fmt.Sprintf(format, args...))
		return "", &r
	}
	version = c.version
	switch {
	case c.header == nil && p.hasVersion:
		if version = p.metaVersion; !slices.Contains(Versions, version) {
			r := unsupported(m.id, version)
			return "", &r
		}
	case c.header == nil: // a message on a line, of a client that began with initialize
	case p.hasVersion && len(c.header.Version) == 0:
		return refuse(codeHeaderMismatch, "Header mismatch: the header MCP-Protocol-Version is missing")
	case p.hasVersion && p.metaVersion != version:
		return refuse(codeHeaderMismatch, "Header mismatch: MCP-Protocol-Version is %s, and _meta has %s", version, shown(p.metaVersion))
	}
	if version != version20260728 {
		return version, nil
	}
	if m.method == "ping" && !p.hasMeta && (c.header == nil || len(c.header.Method) == 0 || string(c.header.Method) == m.method) {
		// The revision has no ping. But the SDK for Go (1.8.0) sends the one of those before
		// it, without _meta, and takes an error for a dead server.
		return version20251125, nil
	}
	switch {
	case !p.hasMeta:
		return refuse(codeInvalidParams, "Invalid params: params._meta is missing; revision %s wants an object with %s and %s", version, metaVersion, metaCapabilities)
	case !p.hasVersion:
		return refuse(codeInvalidParams, "Invalid params: params._meta has no %s", metaVersion)
	case !p.capabilities:
		return refuse(codeInvalidParams, "Invalid params: params._meta has no object %s", metaCapabilities)
	case p.clientWrong:
		return refuse(codeInvalidParams, "Invalid params: %s in params._meta must be an object with name and version", metaClient)
	case c.header == nil:
		return version, nil
	case len(c.header.Method) == 0:
		return refuse(codeHeaderMismatch, "Header mismatch: the header Mcp-Method is missing")
	case string(c.header.Method) != m.method:
		return refuse(codeHeaderMismatch, "Header mismatch: Mcp-Method is %s, and the method is %s", shown(string(c.header.Method)), shown(m.method))
	case m.method != "tools/call":
		return version, nil
	case len(c.header.Name) == 0:
		return refuse(codeHeaderMismatch, "Header mismatch: the header Mcp-Name is missing")
	case !p.named:
		return refuse(codeInvalidParams, "Invalid params: params.name is missing: the name of a tool")
	case !sameName(c.header.Name, p.name):
		return refuse(codeHeaderMismatch, "Header mismatch: Mcp-Name is %s, and the name is %s", shown(string(c.header.Name)), shown(p.name))
	}
	return version, nil
}

// sameName reports whether the value of the header Mcp-Name is name, as it is or in base64
// (streamable-http, "Value Encoding").
func sameName(value []byte, name string) bool {
	if coded, ok := bytes.CutPrefix(value, []byte("=?base64?")); ok {
		if coded, ok = bytes.CutSuffix(coded, []byte("?=")); ok {
			plain, err := base64.StdEncoding.DecodeString(string(coded))
			return err == nil && string(plain) == name
		}
	}
	return string(value) == name
}
