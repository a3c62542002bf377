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
)

// diffEvery is the least time between two Events that say what has changed. Changes
// in between come together in one.
const diffEvery = 10 * time.Second

// A diffState is what the Events have said of the toolsets. It is of one term: the next
// one begins with what the ConfigMap says.
type diffState struct {
	begun   bool
	blind   bool     // what was there before is not known
	entries entrySet // as of the last Event
	last    time.Time
	pending bool // there is more to say
	split   bool
	large   bool // that it is too large has been said
}

func (d *diffState) forget() { *d = diffState{last: d.last} }

// begin takes note of what is there before this term writes.
func (d *diffState) begin(main *revision) {
	if d.begun {
		return
	}
	d.begun = true
	if main == nil {
		d.blind = true
		return
	}
	text, whole := main.data[service.KubernautKey]
	_, d.split = main.data[IndexKey]
	if d.entries = entrySetIn(text); d.split || whole && d.entries == nil {
		d.blind = true
	}
}

// An entrySet has the name of each toolset of a document, by the hash of its entry.
// To compare two costs no parsing but of what differs.
type entrySet map[uint64]string

// entrySetOf reads a document of service.KubernautKey; before is an older one.
func entrySetOf(d *service.GeneratedDocument, before entrySet) entrySet {
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

// entrySetIn is that of a document as a ConfigMap holds it; nil if it is none.
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
	var t service.Tool
	if json.Unmarshal(entry, &t) != nil || t.Name == "" {
		return "?"
	}
	if t.Namespace == "" {
		return cluster.Clean(t.Name)
	}
	return cluster.Clean(t.Namespace + "/" + t.Name)
}

// diff says what has changed since before; "" if nothing has.
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

// some lists names, up to a length that leaves room for others in a note.
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
