package holmesgpt

// Key is the key of the document in the ConfigMap.
const Key = "holmesgpt-toolsets.yaml"

// Head begins each document. Its entry is there because HolmesGPT does not start with a
// file without entries.
const Head = `# Toolsets for HolmesGPT, written by dynamic-toolset; changes are overwritten.
# docs/outputs.md says how to load them and which environment variables they use.
toolsets:
  dynamic-toolset:
    enabled: false
    description: "Keeps this file from being empty. The other toolsets are the back ends found in the cluster."
    tools: []
`

// A Fragment is a rendered toolset: as the built-in toolset that it may fill, and as a
// toolset of its own. It can be used in any number of documents.
type Fragment struct {
	slot    slot
	builtin []byte // nil if it can't fill a slot
	custom  []byte // nil if there is nothing to read by HTTP
	kafka   []byte // item in the list of kafka/admin, which has all clusters
}

// Empty reports whether HolmesGPT can't do anything with the toolset.
func (f *Fragment) Empty() bool { return f.builtin == nil && f.custom == nil && f.kafka == nil }

// Render renders t. An error wraps ErrUnsafe. The Fragment is empty if there is nothing to
// read, or if the address is that of HolmesGPT's own machine or of its cloud's metadata, to
// which whoever may annotate a Service must not direct an agent.
func Render(t Toolset) (*Fragment, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	u, err := t.url()
	if err != nil {
		return nil, err
	}
	f := &Fragment{slot: slots[t.Type]}
	if private(u) {
		return f, nil
	}
	if f.slot == slotKafka {
		f.kafka = t.kafka(u)
		return f, nil
	}
	for _, b := range t.builtins(u) {
		f.builtin = append(f.builtin, "  "+b.key+":\n    enabled: true\n    description: "+quote(t.described())+"\n    config:\n"...)
		f.builtin = append(write(f.builtin, 6, b.config), "    tools: []\n"...)
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		f.custom = t.custom()
	}
	return f, nil
}

// described returns the description with the name and address of the back end.
func (t *Toolset) described() string {
	return prose(t.Description) + " (" + t.Type + " of the Service " + t.Name + " in namespace " + t.Namespace + ", " + t.Endpoint + t.Path + ")"
}

// custom renders t as a toolset with its own tools; nil if there are none.
func (t *Toolset) custom() []byte {
	list := toolsFor(t.Type)
	if len(list) == 0 {
		return nil
	}
	b := append([]byte(nil), "  "+t.key()+":\n    enabled: true\n    description: "+quote(t.described())+"\n    tools:\n"...)
	for i := range list {
		tool := &list[i]
		b = append(b, "      - name: "+quote(t.toolName(tool.verb))+
			"\n        description: "+quote(tool.description+" ("+t.Type+" "+t.Name+" in namespace "+t.Namespace+").")+
			"\n        command: "+quote(tool.command(t.Endpoint+t.Path))+"\n"...)
		if len(tool.params) == 0 {
			continue
		}
		b = append(b, "        parameters:\n"...)
		for _, p := range tool.params {
			b = append(b, "          "+p.name+":\n            description: "+quote(prose(p.description))+"\n            type: \"string\"\n            required: true\n"...)
		}
	}
	return b
}

// A Candidate is a toolset of a document, with what decides whether it becomes the built-in
// toolset.
type Candidate struct {
	Fragment *Fragment
	// Pinned means chosen by an administrator, Primary by an annotation.
	Pinned, Primary bool
	// Down means that it has not answered for long. It should not change with a single
	// health check, since HolmesGPT reloads whenever the choice changes.
	Down bool
	// Order decides between equal candidates; the lower is better.
	Order string
}

// better reports whether c is preferred to o, which comes before it.
func (c *Candidate) better(o *Candidate) bool {
	switch {
	case c.Pinned != o.Pinned:
		return c.Pinned
	case c.Primary != o.Primary:
		return c.Primary
	case c.Down != o.Down:
		return o.Down
	}
	return c.Order < o.Order
}

// maxKafka bounds the clusters in kafka/admin, which is one entry and can't be split.
const maxKafka = 200

// Entries returns the entries of the document with all candidates, which must be in a
// stable order. Head and any number of entries, in this order, are a complete document. For
// each built-in toolset the best candidate is chosen, the first of equal ones; the others
// become toolsets of their own.
func Entries(candidates []Candidate) [][]byte {
	chosen := map[slot]*Candidate{}
	entries := make([][]byte, 0, len(candidates))
	var kafka []byte
	clusters := 0
	for i := range candidates {
		c := &candidates[i]
		if c.Fragment.kafka != nil && clusters < maxKafka {
			kafka = append(kafka, c.Fragment.kafka...)
			clusters++
		}
		if c.Fragment.builtin != nil && (chosen[c.Fragment.slot] == nil || c.better(chosen[c.Fragment.slot])) {
			chosen[c.Fragment.slot] = c
		}
	}
	if kafka != nil {
		entries = append(entries, append([]byte(kafkaHead), append(kafka, "    tools: []\n"...)...))
	}
	for i := range candidates {
		switch c := &candidates[i]; {
		case c.Fragment.builtin != nil && chosen[c.Fragment.slot] == c:
			entries = append(entries, c.Fragment.builtin)
		case c.Fragment.custom != nil:
			entries = append(entries, c.Fragment.custom)
		}
	}
	return entries
}

const kafkaHead = "  " + string(slotKafka) + `:
    enabled: true
    description: "Kafka carries streams of messages: topics, consumer groups and their lag, of each of the clusters in its list."
    config:
      kafka_clusters:
`
