// Package mcpjson renders MCP servers as the file that clients of the Model Context Protocol
// read, mostly called mcp.json or .mcp.json, with its one member "mcpServers".
package mcpjson

import (
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output"
)

// Format is the name of the document in settings, and Key its key in the ConfigMap.
const (
	Format = "mcp"
	Key    = "mcp.json"
)

// maxName bounds the names of servers, which clients make part of the names of tools.
const maxName = 48

// Entry returns t as a member of mcpServers; nil if it is no MCP server.
func Entry(t *output.Toolset) []byte {
	if t.Type != "mcp" || t.URL == "" {
		return nil
	}
	kind := "http" // streamable HTTP, in the words of all clients
	if t.Transport == service.TransportSSE {
		kind = "sse"
	}
	var b strings.Builder
	b.WriteString("\n    " + output.Quote(Name(t)) + `: {"type": "` + kind + `", "url": ` + output.Quote(t.URL))
	var headers []string
	for _, h := range t.Headers(func(prefix, variable string) string { return prefix + "${" + variable + "}" }) {
		headers = append(headers, output.Quote(h.Name)+": "+output.Quote(h.Value))
	}
	if len(headers) > 0 {
		b.WriteString(`, "headers": {` + strings.Join(headers, ", ") + "}")
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// Name returns the name of a server, of letters, digits, '-' and '_'. It is unique:
// namespaces have no '_', nor have names.
func Name(t *output.Toolset) string {
	name := strings.ReplaceAll(t.Name, ".", "_")
	if t.Namespace != "" {
		name = t.Namespace + "_" + name
	}
	return output.Short(name, t.Ref(), maxName)
}

// Document returns the document with these entries, and with own, this service, first; it
// may be nil. Any entries, in this order, make a document that is complete.
func Document(own *output.Toolset, entries [][]byte) service.Document {
	if own != nil {
		entries = append([][]byte{Entry(own)}, entries...)
	}
	d := service.Document{Key: Key, Head: []byte("{\n  \"mcpServers\": {"), Separator: []byte(","), Tail: []byte("\n  }\n}\n"), Entries: entries}
	if len(entries) == 0 {
		d.Tail = []byte("}\n}\n")
	}
	return d
}
