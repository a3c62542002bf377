package holmesgpt

import (
	"slices"
	"strings"
)

// maxInstances bounds the back ends of one built-in toolset. HolmesGPT checks one after
// another when it loads them.
const maxInstances = 50

// maxKafka bounds the clusters in kafka/admin, which is one entry and can't be split.
const maxKafka = 200

// entry returns the entry of a built-in toolset for these back ends, best first.
//
// A single one is the plain configuration. Of several, each is an instance with its own
// health check. Their addresses are in a list, which HolmesGPT has since June 2026, and the
// first one's is beside it too, where older releases look. No credentials are beside it:
// all instances without any would inherit them, also those of other people.
func (b *builtin) entry(fragments []*Fragment) []byte {
	flat := make([][]setting, len(fragments))
	for i, f := range fragments {
		flat[i] = f.flat
	}
	flat[0] = fragments[0].first
	out := append([]byte(nil), "  "+b.name+":\n    enabled: true\n    description: "+quote(fragments[0].described)+"\n    config:\n"...)
	switch {
	case b.slot == slotKafka || b.slot == slotRabbitMQ:
		out = append(out, "      clusters:\n"...)
		for _, item := range flat {
			out = writeItem(out, 8, item)
		}
	case len(fragments) == 1:
		out = write(out, 6, flat[0])
	default:
		out = write(out, 6, flat[0][:1])
		out = append(out, "      instances:\n"...)
		for i, f := range fragments {
			out = writeItem(out, 8, slices.Insert(slices.Clone(flat[i]), 0, text("name", f.ref)))
		}
	}
	return append(out, "    tools: []\n"...)
}

// guide returns the entry that tells the model about the back ends of a slot. It is an entry
// of its own, since instructions in that of a built-in toolset would replace those that
// HolmesGPT has for it, or be replaced by them, depending on the release (override_with in
// tools.py, _publish_llm_instructions in multi_instance.py); and a description is shown to
// nobody while the toolset works.
func (s slot) guide(names []string, fragments []*Fragment) []byte {
	which, asks := strings.Join(names, " and "), " asks"
	if len(names) > 1 {
		asks = " ask"
	}
	lines := make([]string, 0, len(fragments)+1)
	switch {
	case len(fragments) == 1:
		lines = append(lines, which+asks+" this back end of the cluster:")
	case s == slotKafka:
		lines = append(lines, which+asks+" these back ends of the cluster, by the parameter kafka_cluster_name:")
	default:
		lines = append(lines, which+asks+" these back ends of the cluster, by the parameter instance; the first is the preferred one:")
	}
	told := map[string]bool{}
	for _, f := range fragments {
		line := "- " + f.ref + ": " + f.place + "."
		if !told[f.description] {
			line += " " + f.description
		}
		told[f.description] = true
		lines = append(lines, line)
	}
	key := keyPrefix + strings.ReplaceAll(string(s), "/", "-")
	return append([]byte(nil), "  "+key+":\n    enabled: true\n    description: "+quote("Says which back ends of the cluster "+which+asks+".")+
		"\n    llm_instructions: "+quote(strings.Join(lines, "\n"))+"\n    tools: []\n"...)
}
