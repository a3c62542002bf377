package gzipjoin

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// compressors is a pool of compressors of one kind. Each has about a megabyte of tables,
// which are costly to make. A few are always kept, for single changes with garbage
// collections between them. The others of a large build are in a sync.Pool. (With the race
// detector, a sync.Pool forgets at random, so that tests would spend most of their time
// making tables.)
type compressors struct {
	kept chan *compressor
	more sync.Pool
}

// A compressor is a writer with the buffer that it writes to.
type compressor struct {
	w interface {
		io.WriteCloser
		Reset(io.Writer)
		Flush() error
	}
	out bytes.Buffer
}

func (k *compressor) flush() error { return k.w.Flush() }
func (k *compressor) close() error { return k.w.Close() }

// maxBuffer is the size in bytes of the buffers that are kept. Few results are larger.
const maxBuffer = 64 << 10

// compress returns the result for p, which end completes.
func (c *compressors) compress(p []byte, end func(*compressor) error) []byte {
	k := c.get()
	defer c.put(k)
	k.out.Reset()
	k.w.Reset(&k.out)
	k.w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
	end(k)       //nolint:errcheck
	return bytes.Clone(k.out.Bytes())
}

// keptCompressors is how many are kept of each kind.
const keptCompressors = 2

func newCompressors(create func() *compressor) *compressors {
	return &compressors{kept: make(chan *compressor, keptCompressors), more: sync.Pool{New: func() any { return create() }}}
}

func (c *compressors) get() *compressor {
	select {
	case k := <-c.kept:
		return k
	default:
		return c.more.Get().(*compressor)
	}
}

func (c *compressors) put(k *compressor) {
	if k.out.Cap() > maxBuffer {
		k.out = bytes.Buffer{}
	}
	select {
	case c.kept <- k:
	default:
		c.more.Put(k)
	}
}

// A member is a few hundred bytes, in which better compression would find little, and
// members are compressed far more often than anything else.
var (
	memberCompressors = flateCompressors(flate.BestSpeed)
	chunkCompressors  = flateCompressors(flate.DefaultCompression)
	gzipCompressors   = newCompressors(func() *compressor { return &compressor{w: gzip.NewWriter(nil)} })
)

func flateCompressors(level int) *compressors {
	return newCompressors(func() *compressor {
		w, err := flate.NewWriter(nil, level)
		if err != nil { // only a level out of range is refused
			panic(err)
		}
		return &compressor{w: w}
	})
}
