package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// newsEvery is the least time between two Events that say what has changed. Changes
// in between come together in one.
const newsEvery = 10 * time.Second

// news is what the Events have said of the toolsets. It is of one term: the next
// one begins with what the ConfigMap says.
type news struct {
	begun   bool
	blind   bool   // what was there before is not known
	roster  roster // as of the last Event
	last    time.Time
	pending bool // there is more to say
	split   bool
	large   bool // that it is too large has been said
}

func (n *news) forget() { *n = news{last: n.last} }

// begin takes note of what is there before this term writes.
func (n *news) begin(main *view) {
	if n.begun {
		return
	}
	n.begun = true
	if main == nil {
		n.blind = true
		return
	}
	text, whole := main.data[service.KubernautKey]
	_, n.split = main.data[IndexKey]
	if n.roster = rosterIn(text); n.split || whole && n.roster == nil {
		n.blind = true
	}
}

// A roster has the name of each toolset of a document, by the hash of its entry.
// To compare two costs no parsing but of what differs.
type roster map[uint64]string

// rosterOf reads a document of service.KubernautKey; before is an older one.
func rosterOf(d *service.GeneratedDocument, before roster) roster {
	r := make(roster, len(d.Entries))
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

// rosterIn is that of a document as a ConfigMap holds it; nil if it is none.
func rosterIn(text string) roster {
	var d struct {
		Tools []json.RawMessage `json:"tools"`
	}
	if json.Unmarshal([]byte(text), &d) != nil {
		return nil
	}
	r := make(roster, len(d.Tools))
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
		return clean(t.Name)
	}
	return clean(t.Namespace + "/" + t.Name)
}

// changesSince says what has changed; "" if nothing has.
func (r roster) changesSince(before roster) string {
	gone := map[string]bool{}
	for h, name := range before {
		if _, still := r[h]; !still {
			gone[name] = true
		}
	}
	var added, changed, removed []string
	for h, name := range r {
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
			if len(text)+len(name) > maxNote/4-20 {
				return fmt.Sprintf("%s and %d more", text, len(names)-i)
			}
			text += ", "
		}
		text += cut(name, maxNote/4-20)
	}
	return text
}

// recordEvents sends Events about what a round has done, which ended with err.
func (r *round) recordEvents(docs []service.GeneratedDocument, err error) {
	n := &r.news
	switch {
	case errors.Is(err, ErrTooLarge):
		if !n.large {
			n.large = true
			r.recorder.post(documentsLarge, "what was written before stays: "+err.Error())
		}
		return
	case err != nil:
		return
	}
	n.large = false
	if split := r.index != nil; split != n.split {
		n.split = split
		if split {
			r.recorder.post(documentsSplit, fmt.Sprintf("the documents have %d bytes, too many for one ConfigMap; %s says where their %d parts are", sizeOf(docs), IndexKey, len(r.index)))
		} else {
			r.recorder.post(documentsJoined, "the documents are whole again in this ConfigMap; "+IndexKey+" is gone")
		}
	}
	n.pending = n.pending || r.changes > 0
	if !n.pending {
		return
	}
	if due := n.last.Add(r.recorder.every); !n.last.IsZero() && time.Now().Before(due) {
		r.wake(due)
		return
	}
	n.pending = false
	for i := range docs {
		if docs[i].Key != service.KubernautKey {
			continue
		}
		now := rosterOf(&docs[i], n.roster)
		changes := now.changesSince(n.roster)
		if n.blind {
			changes = "written anew"
		}
		n.roster, n.blind = now, false
		if changes != "" {
			n.last = time.Now()
			r.recorder.post(toolsetsChanged, fmt.Sprintf("%s; toolsets: %d", changes, len(docs[i].Entries)))
		}
	}
}
