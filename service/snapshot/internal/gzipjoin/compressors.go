package gzipjoin

import (
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// compressors is a pool of writers of one kind. Each has about a megabyte of tables, which
// are costly to make. A few are always kept, for single changes with garbage collections
// between them. The others of a large build are in a sync.Pool. (With the race detector, a
// sync.Pool forgets at random, so that tests would spend most of their time making tables.)
type compressors[W any] struct {
	kept chan W
	more sync.Pool
}

// keptCompressors is how many are kept of each kind.
const keptCompressors = 2

func newCompressors[W any](create func() W) *compressors[W] {
	return &compressors[W]{kept: make(chan W, keptCompressors), more: sync.Pool{New: func() any { return create() }}}
}

func (c *compressors[W]) get() W {
	select {
	case w := <-c.kept:
		return w
	default:
		return c.more.Get().(W)
	}
}

func (c *compressors[W]) put(w W) {
	select {
	case c.kept <- w:
	default:
		c.more.Put(w)
	}
}

// A member is a few hundred bytes, in which better compression would find little, and
// members are compressed far more often than anything else.
var (
	memberWriters = flateWriters(flate.BestSpeed)
	chunkWriters  = flateWriters(flate.DefaultCompression)
	gzipWriters   = newCompressors(func() *gzip.Writer { return gzip.NewWriter(nil) })
)

func flateWriters(level int) *compressors[*flate.Writer] {
	return newCompressors(func() *flate.Writer {
		w, err := flate.NewWriter(nil, level)
		if err != nil { // only a level out of range is refused
			panic(err)
		}
		return w
	})
}
