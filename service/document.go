package service

import "bytes"

// Documentation is where the readers of a document find more, who may have nothing else of
// this project.
const Documentation = "docs/outputs.md of the Dynamic Toolset Service (https://kubernaut.io/dynamic-toolset)"

// A Document is a document for agents, in pieces. So a change of one toolset renders one
// entry, and a document that is too large for one ConfigMap can be split into several that
// are complete in themselves. Its slices are shared and must not be changed.
type Document struct {
	// Key is its key in the ConfigMap.
	Key string
	// The document is Head, the Entries with Separator between them, and Tail.
	Head, Separator, Tail []byte
	Entries               [][]byte
	// Tools is how many tools it brings to an agent, for documents that say so; else 0.
	Tools int
}

// Size returns the length of the document in bytes.
func (d *Document) Size() int {
	n := len(d.Head) + len(d.Tail) + max(0, len(d.Entries)-1)*len(d.Separator)
	for _, e := range d.Entries {
		n += len(e)
	}
	return n
}

// Bytes returns the document in one slice.
func (d *Document) Bytes() []byte {
	b := append(make([]byte, 0, d.Size()), d.Head...)
	b = append(b, bytes.Join(d.Entries, d.Separator)...)
	return append(b, d.Tail...)
}
