package snapshot

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// A list is put together from members and chunks of members that were rendered,
// and compressed, when the snapshot was built. That works for gzip as well,
// without compressing anything at the time of the request, because a deflate
// stream is a sequence of blocks (RFC 1951, section 3.2.3): each piece is
// compressed by itself, so that it refers to nothing before it, and ends at a
// byte boundary by a sync flush. What lies between is added as stored blocks.

// gzipHeader is a gzip member header with no name and no time (RFC 1952,
// section 2.3); operating system "unknown".
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// maxStored is the most bytes that one stored block holds.
const maxStored = 65535

func deflatePart(p []byte) []byte  { return deflate(partWriters, p) }
func deflateChunk(p []byte) []byte { return deflate(chunkWriters, p) }

// deflate compresses p into blocks that can stand anywhere in a stream.
func deflate(writers *compressors[*flate.Writer], p []byte) []byte {
	w := writers.get()
	defer writers.put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Flush()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

// gzipWhole compresses a complete body.
func gzipWhole(p []byte) []byte {
	w := gzipWriters.get()
	defer gzipWriters.put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Close()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

// appendStored appends p as stored blocks (RFC 1951, section 3.2.4); last ends
// the stream.
func appendStored(dst, p []byte, last bool) []byte {
	for {
		n := min(len(p), maxStored)
		dst = appendStoredHeader(dst, n, last && n == len(p))
		dst = append(dst, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return dst
		}
	}
}

// storedHeaderSize is the length of the header of a stored block that begins at
// a byte boundary.
const storedHeaderSize = 5

func appendStoredHeader(dst []byte, n int, last bool) []byte {
	final := byte(0)
	if last {
		final = 1
	}
	dst = append(dst, final)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(n))   // #nosec G115 -- at most maxStored
	return binary.LittleEndian.AppendUint16(dst, ^uint16(n)) // #nosec G115
}

// appendTrailer appends the end of a gzip member (RFC 1952, section 2.3.1).
func appendTrailer(dst []byte, crc uint32, plain int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, uint32(plain)) // #nosec G115 -- modulo 2^32, as the RFC has it
}

// gzipJoin appends one gzip member to dst, piece by piece.
type gzipJoin struct {
	dst  []byte
	crc  uint32
	size int
}

func startGzip(dst []byte) gzipJoin { return gzipJoin{dst: append(dst, gzipHeader...)} }

func (g *gzipJoin) count(plain []byte) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, plain)
	g.size += len(plain)
}

// deflated adds a piece by its plain bytes and what deflate made of them.
func (g *gzipJoin) deflated(plain, deflated []byte) {
	g.count(plain)
	g.dst = append(g.dst, deflated...)
}

// stored adds a piece as it is.
func (g *gzipJoin) stored(plain []byte) {
	g.count(plain)
	g.dst = appendStored(g.dst, plain, false)
}

// finish adds the end of the document, which must be appended to its argument
// and is short, and ends the stream. It is written where it stays: a buffer for
// it would be allocated.
func (g *gzipJoin) finish(end func(dst []byte) []byte) []byte {
	at := len(g.dst)
	g.dst = end(appendStoredHeader(g.dst, 0, true))
	plain := g.dst[at+storedHeaderSize:]
	g.count(plain)
	appendStoredHeader(g.dst[:at], len(plain), true)
	return appendTrailer(g.dst, g.crc, g.size)
}
