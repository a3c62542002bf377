package manifests

import (
	"bytes"
	"fmt"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Bounds on the work for one file, so that none keeps the others waiting or takes the
// memory they need. They are counts and not times: a busy machine refuses nothing that
// an idle one takes.
const (
	// maxDocumentParts and maxFileParts bound the values that a parser makes of one
	// document, and of all documents of a file, each at some 300 bytes and 1 µs while
	// the document is read. 10,000 Services in one List have 400,000 parts, the largest
	// CustomResourceDefinitions 50,000.
	maxDocumentParts = 500_000
	maxFileParts     = 2_000_000
	// maxExpansion bounds a document in which aliases are replaced by what they stand
	// for, bytes.
	maxExpansion = 10 << 20
)

// tooMuch says that a file is refused because reading it would take too much.
type tooMuch struct{ what string }

func (e tooMuch) Error() string { return e.what }

func tooManyObjects(limit int) error {
	return tooMuch{fmt.Sprintf("holds more than %d documents or objects, empty ones included; split it into several files", limit)}
}

// A budget is what may still be spent on a file.
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

// document counts what is in one document, before a parser sees it.
func (b *budget) document(doc []byte) error {
	n := parts(doc)
	if b.parts -= n; n > maxDocumentParts || b.parts < 0 {
		return tooMuch{fmt.Sprintf("holds more values than any manifest should (about %d in one document, or %d in all); split it into several files, or look what it is",
			maxDocumentParts, maxFileParts)}
	}
	return nil
}

// isPartEnd marks the bytes of which each value in YAML or JSON has one or more.
var isPartEnd = func() (is [256]bool) {
	for _, c := range []byte(",:[{?\n\r") {
		is[c] = true
	}
	return is
}()

// parts returns an upper bound on half the number of values, keys included, in a
// document, without parsing it. Text has such bytes, too: it is for bounds far above
// what there is.
func parts(doc []byte) (n int) {
	for i, c := range doc {
		if isPartEnd[c] || c == '-' && i+1 < len(doc) && (doc[i+1] == ' ' || doc[i+1] == '\t') {
			n++
		}
	}
	return n
}

// aliases refuses a document whose aliases stand for too much. The YAML library bounds
// how many values they are, not how long those are, and only per document.
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

// mayHave says whether a document may have an anchor or an alias, which begin with c.
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

// An extent is how large a part of a document is once aliases are replaced.
type extent struct{ values, bytes int }

// beyond is more than any bound. Sums of it do not overflow.
const beyond = 1 << 40

func (e *extent) add(o extent) {
	e.values = min(e.values+o.values, beyond)
	e.bytes = min(e.bytes+o.bytes, beyond)
}

// An expansion works out extents.
type expansion struct {
	known map[*yamlv3.Node]extent // of what has an anchor
}

func (x expansion) of(n *yamlv3.Node) extent {
	if n.Kind == yamlv3.AliasNode {
		return x.of(n.Alias)
	}
	if n.Anchor != "" {
		if e, ok := x.known[n]; ok {
			return e
		}
		x.known[n] = extent{beyond, beyond} // while it is worked out: for what contains itself
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
