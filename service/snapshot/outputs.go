package snapshot

import (
	"slices"
	"sync"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output"
	"kubernaut.io/dynamic-toolset/service/output/grafana"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kagent"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/output/kubernautvalues"
	"kubernaut.io/dynamic-toolset/service/output/mcpjson"
)

// The formats of the first two documents.
const (
	FormatKubernaut = "kubernaut"
	FormatHolmesGPT = "holmesgpt"
)

// outputs are the documents, in the order in which Documents returns them.
var outputs = []struct{ format, key string }{
	{FormatKubernaut, kubernaut.Key},
	{FormatHolmesGPT, holmesgpt.Key},
	{grafana.Format, grafana.Key},
	{kubernautvalues.Format, kubernautvalues.Key},
	{mcpjson.Format, mcpjson.Key},
	{kagent.Format, kagent.Key},
}

// DefaultOutputs are the formats of the documents that there are if nothing else is said.
var DefaultOutputs = []string{FormatHolmesGPT, FormatKubernaut}

// Formats returns the formats of all documents.
func Formats() []string {
	var all []string
	for _, o := range outputs {
		all = append(all, o.format)
	}
	return all
}

// Key returns the key of a document in the ConfigMap; empty for a format that does not exist.
func Key(format string) string {
	for _, o := range outputs {
		if o.format == format {
			return o.key
		}
	}
	return ""
}

// wants reports whether there is a document of this format.
func (o *DocumentOptions) wants(format string) bool {
	if o.Outputs == nil {
		return slices.Contains(DefaultOutputs, format)
	}
	return slices.Contains(o.Outputs, format)
}

// others returns the documents besides those for Kubernaut and HolmesGPT.
func (s *Snapshot) others(o *DocumentOptions) (docs []service.Document) {
	own := output.Own(o.OwnURL)
	if o.wants(grafana.Format) {
		docs = append(docs, grafana.Document(s.entries(grafana.Format, grafana.Entry)))
	}
	if o.wants(kubernautvalues.Format) {
		docs = append(docs, s.values())
	}
	if o.wants(mcpjson.Format) {
		docs = append(docs, mcpjson.Document(own, s.entries(mcpjson.Format, mcpjson.Entry)))
	}
	if o.wants(kagent.Format) {
		docs = append(docs, kagent.Document(own, s.entries(kagent.Format, kagent.Entry)))
	}
	return docs
}

// entries returns the entries of a document, without those that are nil.
func (s *Snapshot) entries(format string, render func(*output.Toolset) []byte) (all [][]byte) {
	for _, c := range s.document.list.chunks {
		for _, p := range c.parts {
			if e := p.of.fragment.entry(format, p, render); e != nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// values returns the document with the values for Kubernaut's chart: for each place the
// best of its types.
func (s *Snapshot) values() service.Document {
	var best [kubernautvalues.Alertmanager + 1]*part
	var toolsets [len(best)]*output.Toolset
	for _, c := range s.document.list.chunks {
		for _, p := range c.parts {
			place := kubernautvalues.PlaceOf(p.of.backend.Type)
			if place == kubernautvalues.Nowhere || best[place] != nil && p.of.order.compare(&best[place].of.order) >= 0 {
				continue
			}
			if t := p.toolset(); t.URL != "" {
				best[place], toolsets[place] = p, t
			}
		}
	}
	return kubernautvalues.Document(toolsets[kubernautvalues.Prometheus], toolsets[kubernautvalues.Alertmanager])
}

// toolset returns the toolset of an entry of the generated document, as other documents
// show it.
func (p *part) toolset() *output.Toolset {
	r := p.of
	return output.New(r.backend, r.name, &r.fragment.access, p.isPrimary())
}

// isPrimary reports whether the entry is that of the primary of its type.
func (p *part) isPrimary() bool { return p.key.Name[0] == placePrimary }

// An entryCache keeps what was rendered for documents, by format and by whether it is the
// primary of its type. The zero value is empty.
type entryCache struct {
	mu       sync.Mutex
	rendered map[entryKey][]byte
}

type entryKey struct {
	format  string
	primary bool
}

// entry returns the entry of p in a document, which is rendered when it is first asked for.
func (f *fragment) entry(format string, p *part, render func(*output.Toolset) []byte) []byte {
	f.entries.mu.Lock()
	defer f.entries.mu.Unlock()
	k := entryKey{format, p.isPrimary()}
	e, ok := f.entries.rendered[k]
	if !ok {
		e = render(p.toolset())
		if f.entries.rendered == nil {
			f.entries.rendered = map[entryKey][]byte{}
		}
		f.entries.rendered[k] = e
	}
	return e
}
