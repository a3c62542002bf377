package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"kubernaut.io/dynamic-toolset/service/snapshot/internal/gzipjoin"
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
	return Body{JSON: json, Gzip: gzipjoin.Whole(json), ETag: entityTag(sum[:])}
}

func entityTag(sum []byte) []byte {
	tag := make([]byte, 0, 34)
	tag = append(tag, '"')
	tag = hex.AppendEncode(tag, sum[:16])
	return append(tag, '"')
}

// smallAnswer is up to how many bytes of JSON an answer is kept as one Body:
// that is quicker to send and compresses a little better, but must be made anew
// for each change of any member.
const smallAnswer = 64 << 10

// An Answer is a complete document made of the members of a list. A large one is
// kept in pieces, which it shares with the answers of other snapshots.
type Answer struct {
	list *list
	head []byte // `{"toolsets":[`
	end  []byte // what follows the members
	etag []byte
	body *Body // nil if it is large

	size     int // of the JSON
	gzipSize int
	gzipHead []byte // gzip header and head
	gzipEnd  []byte // end and gzip trailer
}

// gzipComma stands between two compressed chunks.
var gzipComma = gzipjoin.AppendStored(nil, []byte{','}, false)

func newAnswer(l *list, head, end []byte) *Answer {
	a := &Answer{list: l, head: head, end: end}
	// The tag covers every byte: head and end have no part of a chunk's length.
	hash := sha256.New()
	hash.Write(head)
	sum := gzipjoin.CRCOf(head)
	a.size = len(head) + len(end)
	a.gzipHead = gzipjoin.AppendStored(bytes.Clone(gzipjoin.Header), head, false)
	for i, c := range l.chunks {
		hash.Write(c.sum[:])
		if i == 0 {
			sum = sum.Then(c.rest)
			a.size += len(c.json) - 1
			a.gzipSize += len(c.deflated)
		} else {
			sum = sum.Then(c.crc)
			a.size += len(c.json)
			a.gzipSize += len(gzipComma) + len(c.deflated)
		}
	}
	hash.Write(end)
	a.etag = entityTag(hash.Sum(nil))
	a.gzipEnd = gzipjoin.AppendTrailer(gzipjoin.AppendStored(nil, end, true), sum.Then(gzipjoin.CRCOf(end)).Sum, a.size)
	a.gzipSize += len(a.gzipHead) + len(a.gzipEnd)
	if a.size <= smallAnswer {
		json := a.JSON()
		a.body = &Body{JSON: json, Gzip: gzipjoin.Whole(json), ETag: a.etag}
		a.gzipSize = len(a.body.Gzip)
	}
	return a
}

// ETag returns the strong entity tag of the answer with its quotes.
func (a *Answer) ETag() []byte { return a.etag }

// Body returns the answer as a whole; nil if it is too large for that: then a
// Stream reads it.
func (a *Answer) Body() *Body { return a.body }

// JSON returns the answer in one slice, which is made for the call unless the
// answer is small.
func (a *Answer) JSON() []byte {
	if a.body != nil {
		return a.body.JSON
	}
	b := make([]byte, 0, a.size)
	for i := 0; ; i++ {
		p := a.jsonPiece(i)
		if p == nil {
			return b
		}
		b = append(b, p...)
	}
}

// jsonPiece returns the pieces of the JSON one after another, nil after the last.
func (a *Answer) jsonPiece(i int) []byte {
	switch n := len(a.list.chunks); {
	case i == 0:
		return a.head
	case i == 1 && n > 0:
		return a.list.chunks[0].json[1:]
	case i <= n:
		return a.list.chunks[i-1].json
	case i == n+1:
		return a.end
	}
	return nil
}

// gzipPiece does so for the compressed answer.
func (a *Answer) gzipPiece(i int) []byte {
	if a.body != nil {
		if i == 0 {
			return a.body.Gzip
		}
		return nil
	}
	switch last := 2 * len(a.list.chunks); {
	case i == 0:
		return a.gzipHead
	case i == last:
		return a.gzipEnd
	case i > last:
		return nil
	case i%2 == 0:
		return gzipComma
	}
	return a.list.chunks[i/2].deflated
}

// A Stream reads an Answer without a copy of it. The zero Stream is empty; Reset
// makes one ready, so that Streams can be kept for reuse.
type Stream struct {
	answer *Answer
	gzip   bool
	next   int    // piece
	rest   []byte // of the piece before
}

// Reset makes s read a, compressed or not, and returns how many bytes that are.
func (s *Stream) Reset(a *Answer, gzip bool) int {
	*s = Stream{answer: a, gzip: gzip}
	switch {
	case a == nil:
		return 0
	case gzip:
		return a.gzipSize
	}
	return a.size
}

// advance makes rest the next piece; false at the end.
func (s *Stream) advance() bool {
	if s.answer == nil {
		return false
	}
	if s.gzip {
		s.rest = s.answer.gzipPiece(s.next)
	} else {
		s.rest = s.answer.jsonPiece(s.next)
	}
	s.next++
	return s.rest != nil
}

// Read implements io.Reader.
func (s *Stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if !s.advance() {
			return 0, io.EOF
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: each piece is written from where it is.
func (s *Stream) WriteTo(w io.Writer) (written int64, err error) {
	for len(s.rest) > 0 || s.advance() {
		n, err := w.Write(s.rest)
		s.rest = s.rest[n:]
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
