package configmap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/events"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// diffEvery is the least time between two Events that list changes. Changes in between
// are listed together.
const diffEvery = 10 * time.Second

// A diffState is what Events have said about the toolsets in this term. The next term
// starts from what the ConfigMap holds.
type diffState struct {
	begun   bool
	blind   bool     // it is not known what was there before
	entries entrySet // as of the last Event
	last    time.Time
	pending bool // there is more to say
	split   bool
	large   bool // an Event has said that the documents are too large
}

func (d *diffState) forget() { *d = diffState{last: d.last} }

// begin notes what is there before this term writes.
func (d *diffState) begin(main *revision) {
	if d.begun {
		return
	}
	d.begun = true
	if main == nil {
		d.blind = true
		return
	}
	text, whole := main.data[kubernaut.Key]
	_, d.split = main.data[IndexKey]
	if d.entries = entrySetIn(text); d.split || whole && d.entries == nil {
		d.blind = true
	}
}

// An entrySet maps the hash of each entry of a document to the name of its toolset. To
// compare two of them, only entries that differ are parsed.
type entrySet map[uint64]string

// entrySetOf returns the entries of a document of kubernaut.Key. before is an
// older set, whose names it reuses.
func entrySetOf(d *service.Document, before entrySet) entrySet {
	r := make(entrySet, len(d.Entries))
	for _, e := range d.Entries {
		e = bytes.TrimSpace(e)
		h := hashOf(e)
		name, known := before[h]
		if !known {
			name = toolName(e)
		}
		r[h] = name
	}
	return r
}

// entrySetIn returns the entries of a document in a ConfigMap; nil if it is not one.
func entrySetIn(text string) entrySet {
	var d struct {
		Tools []json.RawMessage `json:"tools"`
	}
	if json.Unmarshal([]byte(text), &d) != nil {
		return nil
	}
	r := make(entrySet, len(d.Tools))
	for _, e := range d.Tools {
		r[hashOf(e)] = toolName(e)
	}
	return r
}

func toolName(entry []byte) string {
	var t kubernaut.Tool
	if json.Unmarshal(entry, &t) != nil || t.Name == "" {
		return "?"
	}
	if t.Namespace == "" {
		return cluster.Clean(t.Name)
	}
	return cluster.Clean(t.Namespace + "/" + t.Name)
}

// diff describes the changes since before; empty if there are none.
func (s entrySet) diff(before entrySet) string {
	gone := map[string]bool{}
	for h, name := range before {
		if _, still := s[h]; !still {
			gone[name] = true
		}
	}
	var added, changed, removed []string
	for h, name := range s {
		switch _, same := before[h]; {
		case same:
		case gone[name]:
			changed = append(changed, name)
			delete(gone, name)
		default:
			added = append(added, name)
		}
	}
	for name := range gone {
		removed = append(removed, name)
	}
	var parts []string
	for _, p := range []struct {
		verb  string
		names []string
	}{{"added", added}, {"changed", changed}, {"removed", removed}} {
		if len(p.names) > 0 {
			parts = append(parts, p.verb+" "+some(p.names))
		}
	}
	return strings.Join(parts, "; ")
}

// some lists names, as many as leave room for the rest of a note.
func some(names []string) string {
	slices.Sort(names)
	text := ""
	for i, name := range names {
		if i > 0 {
			if len(text)+len(name) > events.MaxNote/4-20 {
				return fmt.Sprintf("%s and %d more", text, len(names)-i)
			}
			text += ", "
		}
		text += events.Cut(name, events.MaxNote/4-20)
	}
	return text
}
