// Package kubernaut is the document that Kubernaut's agents load: its entries, and what is
// wrong with one that somebody else has written.
package kubernaut

import (
	"kubernaut.io/dynamic-toolset/service"
)

// Key is what the document is called in the ConfigMap.
const Key = "toolset.json"

// The document is Head, entries with Separator between them, each of which is a line feed
// and a [Tool], and the End: one tool a line, so that a person can read a difference.
const (
	Head      = `{"tools":[`
	Separator = ","
)

// End is what follows n entries.
func End(n int) string {
	if n == 0 {
		return "]}\n"
	}
	return "\n]}\n"
}

// A Tool is one entry of the generated document, in the format that Kubernaut's
// agents load: {"tools":[{"name":...,"type":...,"endpoint":...}]}.
//
// It carries nothing that changes without a change in the cluster, such as
// times or health: the document is written to a ConfigMap, and every rewrite
// makes every agent reload.
type Tool struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"`
	Endpoint    string            `json:"endpoint"`
	Description string            `json:"description"`
	Namespace   string            `json:"namespace"`
	Config      map[string]string `json:"config"`
}

// NewTool returns the entry of a back end whose toolset has this name.
func NewTool(b *service.Backend, name string) Tool {
	return Tool{
		Name: name, Type: b.Type, Endpoint: b.Endpoint, Description: b.Description,
		Namespace: b.Key.Namespace, Config: map[string]string{"url": b.Endpoint + b.APIPath},
	}
}
