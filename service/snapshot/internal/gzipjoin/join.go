// Package gzipjoin puts a gzip member together from pieces that were compressed before, each by
// itself: nothing is compressed when it is asked for.
//
// That works because a deflate stream is a sequence of blocks (RFC 1951, section 3.2.3). A
// piece refers to nothing before it and ends at a byte boundary, by a sync flush. What lies
// between pieces is added as stored blocks, and the checksums are joined as well (CRC).
package gzipjoin

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// Header is a gzip member header with no name and no time (RFC 1952,
// section 2.3); operating system "unknown".
var Header = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// MaxStored is the most bytes that one stored block holds.
const MaxStored = 65535

// DeflateMember and DeflateChunk compress p into blocks that can stand anywhere in a stream: the
// first a short piece, of which there are many, and quickly.
func DeflateMember(p []byte) []byte { return deflate(memberWriters, p) }
func DeflateChunk(p []byte) []byte  { return deflate(chunkWriters, p) }

func deflate(writers *compressors[*flate.Writer], p []byte) []byte {
	w := writers.get()
	defer writers.put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Flush()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

// Whole compresses a complete body.
func Whole(p []byte) []byte {
	w := gzipWriters.get()
	defer gzipWriters.put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Close()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

// AppendStored appends p as stored blocks (RFC 1951, section 3.2.4); last ends
// the stream.
func AppendStored(dst, p []byte, last bool) []byte {
	for {
		n := min(len(p), MaxStored)
		dst = appendStoredHeader(dst, n, last && n == len(p))
		dst = append(dst, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return dst
		}
	}
}

// StoredHeaderSize is the length of the header of a stored block that begins at
// a byte boundary.
const StoredHeaderSize = 5

func appendStoredHeader(dst []byte, n int, last bool) []byte {
	final := byte(0)
	if last {
		final = 1
	}
	dst = append(dst, final)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))   // #nosec G115 -- at most MaxStored
	return binary.LittleEndian.AppendUint16(dst, ^uint16(n)) // #nosec G115
}

// AppendTrailer appends the end of a gzip member (RFC 1952, section 2.3.1).
func AppendTrailer(dst []byte, crc uint32, plain int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, uint32(plain)) // #nosec G115 -- modulo 2^32, as the RFC has it
}

// Join appends one gzip member to dst, piece by piece.
type Join struct {
	dst  []byte
	crc  uint32
	size int
}

// Start begins a member behind dst.
func Start(dst []byte) Join { return Join{dst: append(dst, Header...)} }

func (g *Join) count(plain []byte) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, plain)
	g.size += len(plain)
}

// Deflated adds a piece by its plain bytes and what deflate made of them.
func (g *Join) Deflated(plain, deflated []byte) {
	g.count(plain)
	g.dst = append(g.dst, deflated...)
}

// Stored adds a piece as it is.
func (g *Join) Stored(plain []byte) {
	g.count(plain)
	g.dst = AppendStored(g.dst, plain, false)
}

// Finish adds the end of the document, which must be appended to its argument
// and is short, and ends the stream. It is written where it stays: a buffer for
// it would be allocated.
func (g *Join) Finish(end func(dst []byte) []byte) []byte {
	at := len(g.dst)
	g.dst = end(appendStoredHeader(g.dst, 0, true))
	plain := g.dst[at+StoredHeaderSize:]
	g.count(plain)
	appendStoredHeader(g.dst[:at], len(plain), true)
	return AppendTrailer(g.dst, g.crc, g.size)
}
