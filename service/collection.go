package service

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// A Body is one complete answer, rendered when its snapshot was built. Its
// slices are shared by every request: they must not be changed.
type Body struct {
	JSON []byte
	Gzip []byte
	// ETag is a strong entity tag with its quotes (RFC 9110, section 8.8.3).
	ETag []byte
}

// newBody renders the parts of a Body that follow from its JSON.
func newBody(json []byte) Body {
	sum := sha256.Sum256(json)
	tag := make([]byte, 0, 34)
	tag = append(tag, '"')
	tag = hex.AppendEncode(tag, sum[:16])
	tag = append(tag, '"')
	return Body{JSON: json, Gzip: gzipWhole(json), ETag: tag}
}

// A Tri is a boolean that may be left out of a query.
type Tri int8

// The values of a Tri.
const (
	Any Tri = iota
	Yes
	No
)

func (t Tri) admits(b bool) bool { return t == Any || (t == Yes) == b }

// A Filter chooses members of a Collection; the zero Filter chooses all. Type
// and Namespace are compared byte for byte; empty means any.
type Filter struct {
	Enabled, Healthy Tri
	Type, Namespace  []byte
}

// All reports whether f chooses everything.
func (f *Filter) All() bool {
	return f.Enabled == Any && f.Healthy == Any && len(f.Type) == 0 && len(f.Namespace) == 0
}

// A part is one member of a Collection, rendered.
type part struct {
	namespace, kind  string
	enabled, healthy bool
	// json is the member's object after a comma; [1:] is the object alone.
	json     []byte
	deflated []byte
}

func (f *Filter) admits(p *part) bool {
	return (len(f.Type) == 0 || p.kind == string(f.Type)) &&
		(len(f.Namespace) == 0 || p.namespace == string(f.Namespace)) &&
		f.Enabled.admits(p.enabled) && f.Healthy.admits(p.healthy)
}

// A Collection is a list answer: whole as a Body, or filtered and put together
// from its rendered parts. Neither renders anything or allocates, as long as
// the buffer given has room.
type Collection struct {
	parts []*part
	head  []byte // `{"toolsets":[`
	tail  []byte // `,"lastDiscovery":...}`, what follows the total
	whole Body
}

func newCollection(member string, parts []*part, tail []byte) *Collection {
	c := &Collection{parts: parts, head: []byte(`{"` + member + `":[`), tail: tail}
	size := len(c.head) + len(tail) + 32
	for _, p := range parts {
		size += len(p.json)
	}
	c.whole = newBody(c.AppendJSON(make([]byte, 0, size), &Filter{}))
	return c
}

// Len returns the number of members.
func (c *Collection) Len() int { return len(c.parts) }

// Size returns what a buffer must hold for any filtered answer, in bytes. A
// part that was stored or compressed by itself may be a little larger than its
// JSON, but all of them together with head and tail are not much.
func (c *Collection) Size() int { return len(c.whole.JSON) + 64 + 8*len(c.parts) }

// Whole returns the answer for the zero Filter.
func (c *Collection) Whole() *Body { return &c.whole }

// appendEnd appends what follows the members.
func (c *Collection) appendEnd(dst []byte, total int) []byte {
	dst = append(dst, `],"total":`...)
	dst = strconv.AppendInt(dst, int64(total), 10)
	return append(dst, c.tail...)
}

// AppendJSON appends the members that f chooses as a JSON document.
func (c *Collection) AppendJSON(dst []byte, f *Filter) []byte {
	dst = append(dst, c.head...)
	n := 0
	for _, p := range c.parts {
		if !f.admits(p) {
			continue
		}
		if n == 0 {
			dst = append(dst, p.json[1:]...)
		} else {
			dst = append(dst, p.json...)
		}
		n++
	}
	return c.appendEnd(dst, n)
}

// AppendGzip appends the same document as AppendJSON, compressed.
func (c *Collection) AppendGzip(dst []byte, f *Filter) []byte {
	g := startGzip(dst)
	g.stored(c.head, false)
	n := 0
	for _, p := range c.parts {
		if !f.admits(p) {
			continue
		}
		if n == 0 {
			g.stored(p.json[1:], false)
		} else {
			g.deflated(p.json, p.deflated)
		}
		n++
	}
	g.storedTotal(`],"total":`, n)
	g.stored(c.tail, true)
	return g.finish()
}

// AppendETag appends the strong entity tag of the filtered document: the tag
// of the whole one, which covers every member, with the filter's own.
func (c *Collection) AppendETag(dst []byte, f *Filter) []byte {
	if f.All() {
		return append(dst, c.whole.ETag...)
	}
	dst = append(dst, c.whole.ETag[:len(c.whole.ETag)-1]...)
	dst = append(dst, '-', 'e', '0'+byte(f.Enabled), 'h', '0'+byte(f.Healthy), 't')
	dst = strconv.AppendUint(dst, sum64(f.Type), 36)
	dst = append(dst, 'n')
	dst = strconv.AppendUint(dst, sum64(f.Namespace), 36)
	return append(dst, '"')
}

// sum64 is FNV-1a. Two filter values of one sum would share an entity tag, but
// only filters that match something have a body worth telling apart, and those
// values are the few names that the cluster has.
func sum64(b []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range b {
		h = (h ^ uint64(c)) * prime
	}
	return h
}
