package conn

import (
	"net"
	"sync"
)

// Each write to a socket costs as much as all else that is done for a lookup. So
// what belongs together leaves in one: the parts of a response that is larger than
// the server's buffer, and the responses to requests that came together. Meanwhile
// they are held here, large bodies where they are and all else as a copy.

const (
	// WriteBufferSize is that of the server's buffer. A write that is shorter is the
	// end of a response, or of what is to be seen at once; one that is longer is not
	// of that buffer.
	WriteBufferSize = 2 << 10
	batchSize       = 32 << 10
	batchPieces     = 64
	// smallBatch holds what comes before a large body. A client that does not read
	// keeps its batch for as long as a response may take.
	smallBatch = 3 << 10
)

// A writeBatch is what is held of a connection's responses.
type writeBatch struct {
	used   int
	small  [smallBatch]byte
	large  *[batchSize]byte // nil until small is full
	copied bool             // the last piece is a copy, behind which there is room
	held   net.Buffers
	pieces [batchPieces][]byte
}

var (
	batches = sync.Pool{New: func() any { return new(writeBatch) }}
	larges  = sync.Pool{New: func() any { return new([batchSize]byte) }}
)

// room returns where n more bytes can be copied to, behind the last copy if it can
// be; nil if nowhere.
func (b *writeBatch) room(n int) []byte {
	if b.large == nil {
		if n <= smallBatch-b.used {
			return b.small[:]
		}
		if n > batchSize {
			return nil
		}
		// What is in the small one stays there.
		b.large, b.used, b.copied = larges.Get().(*[batchSize]byte), 0, false
	}
	if n > batchSize-b.used {
		return nil
	}
	return b.large[:]
}

// hold adds p; false if there is no room for it.
func (b *writeBatch) hold(p []byte, lasting bool) bool {
	n := len(b.held)
	if lasting {
		if n == batchPieces {
			return false
		}
		b.held = append(b.held, p)
		b.copied = false
		return true
	}
	buf := b.room(len(p))
	if buf == nil || n == batchPieces && !b.copied {
		return false
	}
	from := b.used
	b.used += copy(buf[from:], p)
	if b.copied {
		last := &b.held[n-1]
		*last = buf[from-len(*last) : b.used]
	} else {
		b.held = append(b.held, buf[from:b.used])
	}
	b.copied = true
	return true
}

// Write writes like net.Conn, later if more follows. An error of what is written
// later ends the connection at the next read.
func (c *Conn) Write(p []byte) (int, error) {
	if c.out.muted != nothingMuted {
		return c.writeMuted(p)
	}
	more := !c.out.streaming && (c.in.ahead.more || len(p) >= WriteBufferSize)
	if c.out.batch == nil && !more {
		return c.write(p)
	}
	if c.out.batch == nil {
		c.out.batch = batches.Get().(*writeBatch)
		c.out.batch.held = c.out.batch.pieces[:0]
	}
	lasting := c.body.lasting && c.tls.layer == nil && len(p) > WriteBufferSize
	if !c.out.batch.hold(p, lasting) {
		if err := c.flush(); err != nil {
			return 0, err
		}
		return c.write(p)
	}
	if !more {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush sends what is held.
func (c *Conn) flush() (err error) {
	b := c.out.batch
	if b == nil {
		return nil
	}
	c.out.batch = nil
	n := len(b.held)
	if n == 1 || c.tls.layer != nil {
		for _, p := range b.held {
			if _, err = c.write(p); err != nil {
				break
			}
		}
	} else {
		err = c.sendAll(&b.held)
	}
	c.out.broken = c.out.broken || err != nil
	clear(b.pieces[:n])
	if b.large != nil {
		larges.Put(b.large)
	}
	b.held, b.used, b.copied, b.large = nil, 0, false, nil
	batches.Put(b)
	return err
}

// write sends p through the layer, if there is one.
func (c *Conn) write(p []byte) (int, error) {
	if c.tls.layer == nil {
		return c.send(p)
	}
	if !c.established() {
		return 0, net.ErrClosed // no client is there to read it
	}
	n, err := c.tls.layer.session.Write(p)
	if err != nil {
		c.tls.layer.broken = true
	}
	return n, err
}

// sendAll is send for several pieces (writev(2)).
func (c *Conn) sendAll(pieces *net.Buffers) error {
	c.armWrite()
	for {
		_, err := pieces.WriteTo(c.Conn) // which removes what was written
		if err == nil || !timedOut(err) || !c.rearmWrite() {
			return err
		}
	}
}
