package manifests

import (
	"bytes"
	"fmt"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Bounds on the work for one file, so that no file delays the others or takes the memory
// that they need. They are numbers and not times, so that a busy machine refuses nothing
// that an idle one accepts.
const (
	// maxDocumentParts and maxFileParts bound the values that a parser makes of one
	// document, and of all documents of a file. Each value takes some 300 bytes and 1 µs
	// while its document is read. A List of 10,000 Services has 400,000; the largest
	// CustomResourceDefinitions have 50,000.
	maxDocumentParts = 500_000
	maxFileParts     = 2_000_000
	// maxExpansion bounds the size of a document whose aliases are replaced by what they
	// refer to, in bytes.
	maxExpansion = 10 << 20
)

// tooMuch is the error for a file that would take too much to read.
type tooMuch struct{ what string }

func (e tooMuch) Error() string { return e.what }

func tooManyObjects(limit int) error {
	return tooMuch{fmt.Sprintf("holds more than %d documents or objects, empty ones included; split it into several files", limit)}
}

// A budget is what may still be used for a file.
type budget struct {
	objects, maxObjects int
	parts               int
}

func newBudget(maxObjects int) budget {
	return budget{objects: maxObjects, maxObjects: maxObjects, parts: maxFileParts}
}

// object counts one document or one object in a List.
func (b *budget) object() error {
	if b.objects--; b.objects < 0 {
		return tooManyObjects(b.maxObjects)
	}
	return nil
}

// document counts the parts of a document, before it is parsed.
func (b *budget) document(doc []byte) error {
	n := parts(doc)
	if b.parts -= n; n > maxDocumentParts || b.parts < 0 {
		return tooMuch{fmt.Sprintf("holds more values than any manifest should (about %d in one document, or %d in all); split it into several files, or look what it is",
			maxDocumentParts, maxFileParts)}
	}
	return nil
}

// isPartEnd tells the bytes of which each value in YAML or JSON has at least one.
var isPartEnd = func() (is [256]bool) {
	for _, c := range []byte(",:[{?\n\r") {
		is[c] = true
	}
	return is
}()

// parts returns an upper bound of half the number of values in a document, keys included,
// without parsing it. Such bytes occur in texts as well, so the bounds must be far above
// what documents have.
func parts(doc []byte) (n int) {
	for i, c := range doc {
		if isPartEnd[c] || c == '-' && i+1 < len(doc) && (doc[i+1] == ' ' || doc[i+1] == '\t') {
			n++
		}
	}
	return n
}

// aliases returns an error for a document whose aliases refer to too much. The YAML
// library bounds the number of values that they expand to, but not their length, and only
// per document.
func (b *budget) aliases(doc []byte) error {
	if !mayHave(doc, '&') || !mayHave(doc, '*') {
		return nil
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(doc, &root); err != nil {
		return err
	}
	size := expansion{known: map[*yamlv3.Node]extent{}}
	got := size.of(&root)
	if b.parts -= got.values; got.values > maxDocumentParts || got.bytes > maxExpansion || b.parts < 0 {
		return tooMuch{fmt.Sprintf("has excessive aliasing: with each alias replaced by what it stands for it holds more than %d bytes or about %d values", maxExpansion, maxDocumentParts)}
	}
	return nil
}

// mayHave reports whether a document may have an anchor or an alias; these begin with c.
func mayHave(doc []byte, c byte) bool {
	for at := 0; ; at++ {
		i := bytes.IndexByte(doc[at:], c)
		if i < 0 {
			return false
		}
		at += i
		if at == 0 || !isWordByte(doc[at-1]) {
			return true
		}
	}
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// An extent is the size of a part of a document with its aliases replaced.
type extent struct{ values, bytes int }

// beyond is more than any bound. Sums of it do not overflow.
const beyond = 1 << 40

func (e *extent) add(o extent) {
	e.values = min(e.values+o.values, beyond)
	e.bytes = min(e.bytes+o.bytes, beyond)
}

// An expansion computes extents.
type expansion struct {
	known map[*yamlv3.Node]extent // of nodes with an anchor
}

func (x expansion) of(n *yamlv3.Node) extent {
	if n.Kind == yamlv3.AliasNode {
		return x.of(n.Alias)
	}
	if n.Anchor != "" {
		if e, ok := x.known[n]; ok {
			return e
		}
		x.known[n] = extent{beyond, beyond} // until it is known; so it stays for a node that contains itself
	}
	e := extent{values: 1, bytes: len(n.Value) + len(n.Tag)}
	for _, c := range n.Content {
		e.add(x.of(c))
	}
	if n.Anchor != "" {
		x.known[n] = e
	}
	return e
}
