package configmap

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// An Index says where the parts of documents are that are too large for one ConfigMap. It
// is the value of IndexKey.
type Index struct {
	// Version is the version of this format: 1. A reader that finds another one must
	// stop.
	Version   int             `json:"version"`
	Documents []IndexDocument `json:"documents"`
}

// An IndexDocument says where the parts of one document are.
type IndexDocument struct {
	Key     string      `json:"key"`     // of the document, in the parts too
	Entries int         `json:"entries"` // in all parts
	Bytes   int         `json:"bytes"`   // of all parts
	Parts   []IndexPart `json:"parts"`   // in the order of the document
}

// An IndexPart is a ConfigMap in the same namespace that holds one part of a
// document.
type IndexPart struct {
	Name    string `json:"name"`
	Entries int    `json:"entries"`
	Bytes   int    `json:"bytes"`
	SHA256  string `json:"sha256"` // of the value of the document's key, hexadecimal
}

// PartName is the name of a part of the ConfigMap name, from 1 to PartNames.
func PartName(name string, number int) string { return name + "-" + strconv.Itoa(number) }

// placed is a part and the number of the ConfigMap that holds it.
type placed struct {
	number int
	part
}

// indexOf makes the index, with one part a line.
func indexOf(name string, parts []placed) []byte {
	idx := Index{Version: 1}
	for _, p := range parts {
		n := len(idx.Documents)
		if n == 0 || idx.Documents[n-1].Key != p.doc.Key {
			idx.Documents = append(idx.Documents, IndexDocument{Key: p.doc.Key})
			n++
		}
		d := &idx.Documents[n-1]
		d.Entries += len(p.doc.Entries)
		d.Bytes += p.size
		d.Parts = append(d.Parts, IndexPart{PartName(name, p.number), len(p.doc.Entries), p.size, p.sum.String()})
	}
	var b bytes.Buffer
	b.WriteString(`{"version":1,"documents":[`)
	for i, d := range idx.Documents {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(d.Key)
		fmt.Fprintf(&b, "\n {\"key\":%s,\"entries\":%d,\"bytes\":%d,\"parts\":[", key, d.Entries, d.Bytes)
		for j, p := range d.Parts {
			if j > 0 {
				b.WriteByte(',')
			}
			line, _ := json.Marshal(p) // strings and numbers always marshal
			b.WriteString("\n  ")
			b.Write(line)
		}
		b.WriteString("\n ]}")
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// held says what a part should hold according to an index.
type held struct {
	key string
	sum sum
}

// parseIndex returns what the index says of each part, by number. Somebody else may
// have written it: what is no part of ours is left out, and of a number that comes
// twice the first is taken.
func parseIndex(name, text string) map[int]held {
	var idx Index
	if text == "" || json.Unmarshal([]byte(text), &idx) != nil || idx.Version != 1 {
		return nil
	}
	all := map[int]held{}
	for _, d := range idx.Documents {
		for _, p := range d.Parts {
			n, ok := partNumber(name, p.Name)
			h := held{key: d.Key}
			if raw, err := hex.DecodeString(p.SHA256); !ok || err != nil || copy(h.sum[:], raw) != len(h.sum) || len(raw) != len(h.sum) {
				continue
			}
			if _, twice := all[n]; !twice {
				all[n] = h
			}
		}
	}
	return all
}

// partNumber is the inverse of PartName.
func partNumber(name, part string) (int, bool) {
	digits, ok := strings.CutPrefix(part, name+"-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > PartNames || PartName(name, n) != part {
		return 0, false
	}
	return n, true
}
