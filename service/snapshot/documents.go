package snapshot

import (
	"sync"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// newDocument returns the document for Kubernaut. entries has only enabled toolsets.
func newDocument(entries *list) *Answer {
	return newAnswer(entries, []byte(kubernaut.Head), []byte(kubernaut.End(entries.count)))
}

// DocumentOptions say which documents there are, and what is in them.
type DocumentOptions struct {
	// Outputs are the formats of the documents; DefaultOutputs if it is nil.
	Outputs []string
	// OwnURL is where clients reach this service, for documents of MCP servers; empty if it
	// is none to them.
	OwnURL string
	// HolmesGPT says what its document has.
	HolmesGPT holmesgpt.Options
}

// Documents returns the generated documents: first that for Kubernaut, then that for
// HolmesGPT, then the others (outputs.go). All are in the order of types, with the primary
// of each type first. Disabled toolsets are in none, and the second leaves out those with
// which HolmesGPT can do nothing (see package holmesgpt). What was rendered for an earlier snapshot is not rendered again.
func (s *Snapshot) Documents(o DocumentOptions) []service.Document {
	forKubernaut := service.Document{Key: kubernaut.Key, Head: []byte(kubernaut.Head), Separator: []byte(kubernaut.Separator)}
	var candidates []holmesgpt.Candidate
	for _, c := range s.document.list.chunks {
		for _, p := range c.parts {
			r := p.of
			forKubernaut.Entries = append(forKubernaut.Entries, p.json[1:])
			if !o.wants(FormatHolmesGPT) {
				continue
			}
			if f := r.fragment.of(r); f != nil {
				candidates = append(candidates, holmesgpt.Candidate{
					Fragment: f, Pinned: r.backend.Pinned, Primary: r.backend.Primary, Down: r.order.down, Order: r.order.rest,
				})
			}
		}
	}
	forKubernaut.Tail = []byte(kubernaut.End(len(forKubernaut.Entries)))
	var docs []service.Document
	if o.wants(FormatKubernaut) {
		docs = append(docs, forKubernaut)
	}
	if o.wants(FormatHolmesGPT) {
		docs = append(docs, holmesgpt.Document(candidates, o.HolmesGPT))
	}
	return append(docs, s.others(&o)...)
}

// A fragment is a toolset rendered for HolmesGPT. That is done when it is first asked for,
// which replicas that don't write never do.
type fragment struct {
	access   service.Access // what the back end has shown when it last answered
	once     sync.Once
	rendered *holmesgpt.Fragment // nil if there is nothing for HolmesGPT
	entries  entryCache
}

func (f *fragment) of(r *rendered) *holmesgpt.Fragment {
	f.once.Do(func() {
		b := r.backend
		rendered, err := holmesgpt.Render(holmesgpt.Toolset{
			Namespace: b.Key.Namespace, Name: r.name, Type: b.Type, Endpoint: b.Endpoint, Path: b.APIPath, Description: b.Description, Transport: b.Transport,
			Connection: b.ConnectionTo(&f.access),
		})
		// An error means a value that package detect and overrides should have refused.
		// Then the toolset is left out.
		if err == nil && !rendered.Empty() {
			f.rendered = rendered
		}
	})
	return f.rendered
}
