package service

import (
	"bytes"
	"sync"

	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
)

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
// Both are in the order of types, and have the primary of each first.
// It renders what has not been rendered for an earlier snapshot. Toolsets that
// are switched off are in none, and those of which HolmesGPT can make nothing
// (see package holmesgpt) not in its document.
func (s *Snapshot) Documents() []GeneratedDocument {
	kubernaut := GeneratedDocument{Key: KubernautKey, Head: []byte(`{"tools":[`), Separator: []byte(","), Tail: []byte("\n]}\n")}
	holmes := GeneratedDocument{Key: HolmesGPTKey, Head: []byte(holmesgpt.Head)}
	var candidates []holmesgpt.Candidate
	for _, c := range s.document.list.chunks {
		for _, p := range c.parts {
			r := p.of
			kubernaut.Entries = append(kubernaut.Entries, p.json[1:])
			if f := r.fragment.of(r); f != nil {
				candidates = append(candidates, holmesgpt.Candidate{
					Fragment: f, Pinned: r.backend.Pinned, Primary: r.backend.Primary, Down: r.order.down, Order: r.order.rest,
				})
			}
		}
	}
	if len(kubernaut.Entries) == 0 {
		kubernaut.Tail = []byte("]}\n")
	}
	holmes.Entries = holmesgpt.Entries(candidates)
	return []GeneratedDocument{kubernaut, holmes}
}

// A fragment is a toolset rendered for HolmesGPT, when that is first asked for:
// replicas that don't write never do.
type fragment struct {
	once     sync.Once
	rendered *holmesgpt.Fragment // nil if there is nothing for HolmesGPT
}

func (f *fragment) of(r *rendered) *holmesgpt.Fragment {
	f.once.Do(func() {
		b := r.backend
		rendered, err := holmesgpt.Render(holmesgpt.Toolset{
			Namespace: b.Key.Namespace, Name: r.name, Type: b.Type, Endpoint: b.Endpoint, Path: b.APIPath, Description: b.Description,
		})
		// An error means that the back end has a value that package detect and
		// ParseOverrides let nobody give: it is better left out.
		if err == nil && !rendered.Empty() {
			f.rendered = rendered
		}
	})
	return f.rendered
}

// down reports whether a back end must be taken for dead when one of several is
// chosen: every check that is remembered has failed. One that comes and goes is
// not down, so that what is chosen does not come and go with it.
func (h *Health) down() bool {
	if h.Healthy || h.CheckedAt.IsZero() {
		return false
	}
	for _, c := range h.History {
		if c.Healthy {
			return false
		}
	}
	return true
}
