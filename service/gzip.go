package service

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"sync"
)

// A list that was filtered is put together from parts that were rendered, and
// compressed, when the snapshot was built. That works for gzip as well, without
// compressing anything at the time of the request, because a deflate stream is
// a sequence of blocks (RFC 1951, section 3.2.3): each part is compressed by
// itself, so that it refers to nothing before it, and ends at a byte boundary
// by a sync flush. What lies between the parts is added as stored blocks.

// gzipHeader is a gzip member header with no name and no time (RFC 1952,
// section 2.3); operating system "unknown".
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// maxStored is the most bytes that one stored block holds.
const maxStored = 65535

var flateWriters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil { // only a level out of range is refused
		panic(err)
	}
	return w
}}

// deflatePart compresses p into blocks that can stand anywhere in a stream.
func deflatePart(p []byte) []byte {
	w := flateWriters.Get().(*flate.Writer)
	defer flateWriters.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Flush()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// gzipWhole compresses a complete body.
func gzipWhole(p []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	w.Close()  //nolint:errcheck
	return bytes.Clone(b.Bytes())
}

// gzipJoin appends one gzip member to dst, part by part.
type gzipJoin struct {
	dst  []byte
	crc  uint32
	size uint32 // modulo 2^32, as RFC 1952 has it
}

func startGzip(dst []byte) gzipJoin { return gzipJoin{dst: append(dst, gzipHeader...)} }

func (g *gzipJoin) count(plain []byte) {
	g.crc = crc32.Update(g.crc, crc32.IEEETable, plain)
	g.size += uint32(len(plain)) // #nosec G115 -- modulo 2^32 is meant
}

// deflated adds a part by its plain bytes and what deflatePart made of them.
func (g *gzipJoin) deflated(plain, deflated []byte) {
	g.count(plain)
	g.dst = append(g.dst, deflated...)
}

// stored adds a part as it is; last ends the stream.
func (g *gzipJoin) stored(plain []byte, last bool) {
	g.count(plain)
	for {
		n := min(len(plain), maxStored)
		final := byte(0)
		if last && n == len(plain) {
			final = 1
		}
		g.dst = append(g.dst, final)
		g.dst = binary.LittleEndian.AppendUint16(g.dst, uint16(n))  // #nosec G115 -- at most maxStored
		g.dst = binary.LittleEndian.AppendUint16(g.dst, ^uint16(n)) // #nosec G115
		g.dst = append(g.dst, plain[:n]...)
		if plain = plain[n:]; len(plain) == 0 {
			return
		}
	}
}

// storedTotal adds text and a number as one stored block, rendered in place:
// a buffer for them would be allocated.
func (g *gzipJoin) storedTotal(text string, n int) {
	at := len(g.dst)
	g.dst = append(g.dst, 0, 0, 0, 0, 0)
	g.dst = append(g.dst, text...)
	g.dst = strconv.AppendInt(g.dst, int64(n), 10)
	plain := g.dst[at+5:]
	g.count(plain)
	binary.LittleEndian.PutUint16(g.dst[at+1:], uint16(len(plain)))  // #nosec G115 -- a few bytes
	binary.LittleEndian.PutUint16(g.dst[at+3:], ^uint16(len(plain))) // #nosec G115
}

func (g *gzipJoin) finish() []byte {
	g.dst = binary.LittleEndian.AppendUint32(g.dst, g.crc)
	return binary.LittleEndian.AppendUint32(g.dst, g.size)
}
