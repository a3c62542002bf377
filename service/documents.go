package service

import "bytes"

// Keys of the generated documents in the ConfigMap.
const (
	// KubernautKey holds {"tools":[...]}, as Kubernaut's agents load it.
	KubernautKey = "toolset.json"
	// HolmesGPTKey holds a custom toolset file of HolmesGPT.
	HolmesGPTKey = "holmesgpt-toolsets.yaml"
)

// A GeneratedDocument is a document for agents in pieces, so that a change of
// one toolset renders one entry, and a document that is too large for one
// ConfigMap can be split into documents that are complete in themselves. Its
// slices are shared: they must not be changed.
type GeneratedDocument struct {
	// Key is what the document is called in the ConfigMap.
	Key string
	// Head, the Entries with Separator between them, and Tail make the document.
	Head, Separator, Tail []byte
	Entries               [][]byte
}

// Size returns the length of the whole document in bytes.
func (d *GeneratedDocument) Size() int {
	n := len(d.Head) + len(d.Tail) + max(0, len(d.Entries)-1)*len(d.Separator)
	for _, e := range d.Entries {
		n += len(e)
	}
	return n
}

// Bytes returns the whole document.
func (d *GeneratedDocument) Bytes() []byte {
	b := append(make([]byte, 0, d.Size()), d.Head...)
	b = append(b, bytes.Join(d.Entries, d.Separator)...)
	return append(b, d.Tail...)
}

// Documents returns the generated documents of the snapshot: KubernautKey first.
// It renders what has not been rendered for an earlier snapshot.
func (s *Snapshot) Documents() []GeneratedDocument {
	kubernaut := GeneratedDocument{Key: KubernautKey, Head: []byte(`{"tools":[`), Separator: []byte(","), Tail: []byte("\n]}\n")}
	for _, r := range s.all {
		if r.toolset.enabled {
			kubernaut.Entries = append(kubernaut.Entries, append([]byte("\n"), r.tool...))
		}
	}
	return []GeneratedDocument{kubernaut}
}
