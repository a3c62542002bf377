// Package gzipjoin joins pieces that were compressed before into one gzip member, so that
// an answer needs no compression when it is asked for.
//
// A deflate stream is a sequence of blocks (RFC 1951, section 3.2.3). Each piece refers to
// nothing before it, and ends at a byte boundary by a sync flush, so pieces can be put in
// sequence. What goes between them is added as stored blocks. The checksums are joined,
// too: see [CRC].
package gzipjoin

import (
	"encoding/binary"
	"hash/crc32"
)

// Header is the header of a gzip member without name and time (RFC 1952, section 2.3). The
// operating system is "unknown".
var Header = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// MaxStored is the maximal number of bytes in one stored block.
const MaxStored = 65535

// DeflateMember and DeflateChunk compress p into blocks that can stand anywhere in a
// stream: DeflateMember quickly, for the many short pieces, and DeflateChunk well.
func DeflateMember(p []byte) []byte { return memberCompressors.compress(p, (*compressor).flush) }
func DeflateChunk(p []byte) []byte  { return chunkCompressors.compress(p, (*compressor).flush) }

// Whole compresses a complete body into a gzip member.
func Whole(p []byte) []byte { return gzipCompressors.compress(p, (*compressor).close) }

// AppendStored appends p as stored blocks (RFC 1951, section 3.2.4). last marks the last
// one as the end of the stream.
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

// StoredHeaderSize is the length in bytes of the header of a stored block, at a byte
// boundary.
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

// AppendTrailer appends the trailer of a gzip member (RFC 1952, section 2.3.1).
func AppendTrailer(dst []byte, crc uint32, plain int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, uint32(plain)) // #nosec G115 -- modulo 2^32, as the RFC has it
}

// A Join appends one gzip member to a slice, piece by piece.
type Join struct {
	dst  []byte
	crc  uint32
	size int
}

// Start begins a member at the end of dst.
func Start(dst []byte) Join { return Join{dst: append(dst, Header...)} }

func (g *Join) count(plain []byte) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, plain)
	g.size += len(plain)
}

// Deflated adds a piece, given as it is and compressed.
func (g *Join) Deflated(plain, deflated []byte) {
	g.count(plain)
	g.dst = append(g.dst, deflated...)
}

// Stored adds a piece without compression.
func (g *Join) Stored(plain []byte) {
	g.count(plain)
	g.dst = AppendStored(g.dst, plain, false)
}

// Finish adds a last piece, which end must append to its argument and which must fit into
// one stored block, and ends the member. The callback saves a buffer for the piece.
func (g *Join) Finish(end func(dst []byte) []byte) []byte {
	at := len(g.dst)
	g.dst = end(appendStoredHeader(g.dst, 0, true))
	plain := g.dst[at+StoredHeaderSize:]
	g.count(plain)
	appendStoredHeader(g.dst[:at], len(plain), true)
	return AppendTrailer(g.dst, g.crc, g.size)
}
