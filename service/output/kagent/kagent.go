// Package kagent renders MCP servers as RemoteMCPServer objects, by which agents of kagent
// (https://kagent.dev) use them (kagent.dev/v1alpha2).
package kagent

import (
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output"
)

// Format is the name of the document in settings, and Key its key in the ConfigMap.
const (
	Format = "kagent"
	Key    = "kagent.yaml"
)

// Secret is the name of the Secret with the credentials, whose keys are the names of the
// variables. kagent has none of an agent's environment variables.
const Secret = "dynamic-toolset-credentials"

const head = `# RemoteMCPServer objects for kagent, written by dynamic-toolset; changes are overwritten.
# ` + service.Documentation + ` says how
# to apply them and which Secret they use.
`

// none is in a document without objects. kubectl applies nothing but objects: it refuses an
// empty List as well.
const none = `# There are no objects, since no MCP server was found in the cluster and --own-url names none
# of this service; so there is nothing to apply, and kubectl apply refuses this file.
`

// Entry returns t as an object; nil if it is no MCP server.
func Entry(t *output.Toolset) []byte {
	if t.Type != "mcp" || t.URL == "" {
		return nil
	}
	protocol := "STREAMABLE_HTTP"
	if t.Transport == service.TransportSSE {
		protocol = "SSE"
	}
	var b strings.Builder
	b.WriteString("---\napiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata:\n  name: " + output.Quote(Name(t)) +
		"\n  labels: {app.kubernetes.io/managed-by: dynamic-toolset}\nspec:\n  description: " + output.Quote(t.Description) +
		"\n  protocol: " + protocol + "\n  url: " + output.Quote(t.URL) + "\n")
	const secret = "\x00" // no value has it
	for i, h := range t.Headers(func(_, variable string) string { return secret + variable }) {
		if i == 0 {
			b.WriteString("  headersFrom:\n")
		}
		b.WriteString("    - name: " + output.Quote(h.Name) + "\n")
		if key, ok := strings.CutPrefix(h.Value, secret); ok {
			b.WriteString("      valueFrom: {type: Secret, name: " + Secret + ", key: " + output.Quote(key) + "}\n")
		} else {
			b.WriteString("      value: " + output.Quote(h.Value) + "\n")
		}
	}
	return []byte(b.String())
}

// Name returns the name of an object, unique in any namespace: a name, a dot and a
// namespace, which has no dot.
func Name(t *output.Toolset) string {
	name := t.Name
	if t.Namespace != "" {
		name += "." + t.Namespace
	}
	return output.Short(name, t.Ref(), 253) // the most for names of objects
}

// Document returns the document with these entries, and with own, this service, first; it
// may be nil. Any entries make a document that is complete.
func Document(own *output.Toolset, entries [][]byte) service.Document {
	if own != nil {
		entries = append([][]byte{Entry(own)}, entries...)
	}
	text := head
	if len(entries) == 0 {
		text += none
	}
	return service.Document{Key: Key, Head: []byte(text), Entries: entries}
}
