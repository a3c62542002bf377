// Package kubernaut renders and validates the document that Kubernaut's agents load.
package kubernaut

import (
	"kubernaut.io/dynamic-toolset/service"
)

// Key is the key of the document in the ConfigMap.
const Key = "toolset.json"

// The document is Head, then the entries with Separator between them, then End. Each entry
// is a line feed and a [Tool] in JSON: one tool per line, so that people can read a diff.
const (
	Head      = `{"tools":[`
	Separator = ","
)

// End returns the end of a document with n entries.
func End(n int) string {
	if n == 0 {
		return "]}\n"
	}
	return "\n]}\n"
}

// A Tool is an entry of the document, as Kubernaut's agents load it:
// {"tools":[{"name":...,"type":...,"endpoint":...}]}.
//
// It has nothing that changes without a change in the cluster, such as times or health,
// since every change of the document makes all agents reload it.
type Tool struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Endpoint    string            `json:"endpoint"`
	Description string            `json:"description"`
	Namespace   string            `json:"namespace"`
	Config      map[string]string `json:"config"`
}

// NewTool returns the entry of a back end; name is that of its toolset.
func NewTool(b *service.Backend, name string) Tool {
	return Tool{
		Name: name, Type: b.Type, Endpoint: b.Endpoint, Description: b.Description,
		Namespace: b.Key.Namespace, Config: map[string]string{"url": b.Endpoint + b.APIPath},
	}
}
