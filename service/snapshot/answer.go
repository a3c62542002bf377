package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync/atomic"

	"kubernaut.io/dynamic-toolset/service/snapshot/internal/gzipjoin"
)

// A Body is a complete answer, rendered when its snapshot was built. Its slices are shared
// by all requests and must not be changed.
type Body struct {
	JSON []byte
	Gzip []byte
	// ETag is a strong entity tag with its quotes (RFC 9110, section 8.8.3).
	ETag []byte
}

// newBody returns the Body for its JSON.
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

// smallAnswer is the size in bytes of JSON up to which an answer is kept as one Body. That
// is quicker to send and compresses a little better, but any change needs a new one.
const smallAnswer = 64 << 10

// An answer of up to copiedAnswer bytes of JSON that was sent manySends times without a
// change is copied into one slice. The kernel takes that 2 us sooner than the 27 pieces of
// a list of 400 KB, and the copy costs 500 us: so it is made once as much would have been
// saved, and a list that changes more often than it is read is never copied.
const (
	copiedAnswer = 1 << 20
	manySends    = 256
)

// An Answer is a complete document made of the members of a list. A large one is kept in
// pieces that snapshots share.
type Answer struct {
	list *list
	head []byte // `{"toolsets":[`
	end  []byte // what follows the members
	etag []byte
	body *Body // nil for a large one

	size     int // of the JSON
	gzipSize int
	gzipHead []byte // gzip header and head
	gzipEnd  []byte // end and gzip trailer

	sends atomic.Int32           // of the JSON in pieces, up to manySends
	whole atomic.Pointer[[]byte] // the JSON in one slice: of the body, or once it was copied
}

// gzipComma goes between two compressed chunks.
var gzipComma = gzipjoin.AppendStored(nil, []byte{','}, false)

func newAnswer(l *list, head, end []byte) *Answer {
	a := &Answer{list: l, head: head, end: end}
	// The sums of the chunks stand for their bytes, so that the tag covers the whole
	// document.
	hash := sha256.New()
	hash.Write(head)
	sum := gzipjoin.CRCOf(head).Sum
	a.size = len(head) + len(end)
	a.gzipHead = gzipjoin.AppendStored(bytes.Clone(gzipjoin.Header), head, false)
	for i, c := range l.chunks {
		hash.Write(c.sum[:])
		if i == 0 {
			sum = c.rest.After(sum)
			a.size += len(c.json) - 1
			a.gzipSize += len(c.deflated)
		} else {
			sum = c.crc.After(sum)
			a.size += len(c.json)
			a.gzipSize += len(gzipComma) + len(c.deflated)
		}
	}
	hash.Write(end)
	a.etag = entityTag(hash.Sum(nil))
	a.gzipEnd = gzipjoin.AppendTrailer(gzipjoin.AppendStored(nil, end, true), gzipjoin.CRCOf(end).After(sum), a.size)
	a.gzipSize += len(a.gzipHead) + len(a.gzipEnd)
	if a.size <= smallAnswer {
		json := a.JSON()
		a.body = &Body{JSON: json, Gzip: gzipjoin.Whole(json), ETag: a.etag}
		a.whole.Store(&a.body.JSON)
		a.gzipSize = len(a.body.Gzip)
	}
	return a
}

// ETag returns the strong entity tag of the answer with its quotes.
func (a *Answer) ETag() []byte { return a.etag }

// Body returns the whole answer; nil if it is too large, so that a Stream must read it.
func (a *Answer) Body() *Body { return a.body }

// JSON returns the answer in one slice, which must not be changed. For a large one that was
// not copied yet the slice is new in each call.
func (a *Answer) JSON() []byte {
	if whole := a.whole.Load(); whole != nil {
		return *whole
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

// jsonPiece returns the i-th piece of the JSON; nil after the last.
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

// gzipPiece returns the i-th piece of the compressed answer; nil after the last.
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

// countSend counts that the JSON is sent in pieces, and has it copied if that is worth it.
func (a *Answer) countSend() {
	if a.size > copiedAnswer || a.sends.Load() >= manySends || a.sends.Add(1) != manySends {
		return
	}
	go func() { // not by the one who sends: other requests wait for an event loop
		json := a.JSON()
		a.whole.Store(&json)
	}()
}

// The pieces of an Answer, plain, compressed and copied. They are pointers to the Answer
// itself, so that an interface can hold them without an allocation.
type (
	jsonPieces Answer
	gzipPieces Answer
	onePiece   Answer
)

func (a *jsonPieces) Piece(i int) []byte { return (*Answer)(a).jsonPiece(i) }
func (a *gzipPieces) Piece(i int) []byte { return (*Answer)(a).gzipPiece(i) }

func (a *onePiece) Piece(i int) []byte {
	if i > 0 {
		return nil
	}
	return *a.whole.Load()
}

// Pieces returns the answer in pieces, compressed or not, and its length in bytes. Piece
// returns the i-th piece, and nil after the last. It allocates nothing, but after many
// calls for the same answer, one starts a goroutine that makes one piece of it.
func (a *Answer) Pieces(gzip bool) (pieces interface{ Piece(i int) []byte }, size int) {
	if gzip {
		return (*gzipPieces)(a), a.gzipSize
	}
	if a.whole.Load() != nil {
		return (*onePiece)(a), a.size
	}
	a.countSend()
	return (*jsonPieces)(a), a.size
}

// A Stream reads an Answer without copying it. The zero Stream is empty. Reset makes it
// ready, so that Streams can be reused.
type Stream struct {
	answer *Answer
	gzip   bool
	next   int    // piece
	rest   []byte // unread bytes of the piece before
}

// Reset makes s read a, compressed or not, and returns its length in bytes.
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

// advance sets rest to the next piece; false at the end.
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

// WriteTo implements io.WriterTo. It writes the pieces without copying them.
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
