package gzipjoin

import (
	"compress/flate"
	"compress/gzip"
	"sync"
)

// compressors are writers of one kind. Each has about a megabyte of tables, which is
// costly to make: a few are kept whatever happens, for the changes that come one by one
// with garbage collections between them; those of a large build as long as a sync.Pool
// keeps them. (With the race detector a sync.Pool forgets at random, and the tests would
// spend most of their time on tables.)
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

// A single member is a few hundred bytes, with little that better compression
// would find, and it is by far the most frequent thing that is compressed.
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
