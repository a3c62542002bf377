package conn

import (
	"net"
	"sync"
)

// A write to a socket costs as much as everything else in a lookup. So what belongs
// together is sent in one write: the parts of a response that is larger than the server's
// buffer, and the responses to requests that came together. Until then they are held
// here: large bodies by reference, the rest as a copy.

const (
	// WriteBufferSize is the size of the server's write buffer. A shorter write is the
	// end of a response, or must be sent at once. A longer one does not come from that
	// buffer.
	WriteBufferSize = 2 << 10
	batchSize       = 32 << 10
	batchPieces     = 64
	// smallBatch is the size of the buffer for what comes before a large body. A client
	// that does not read keeps it for as long as a response may take.
	smallBatch = 3 << 10
)

// A writeBatch holds responses of a connection that have not been sent.
type writeBatch struct {
	used   int
	small  [smallBatch]byte
	large  *[batchSize]byte // nil until small is full
	copied bool             // the last piece is a copy, and there may be room behind it
	held   net.Buffers
	pieces [batchPieces][]byte
}

var (
	batches = sync.Pool{New: func() any { return new(writeBatch) }}
	larges  = sync.Pool{New: func() any { return new([batchSize]byte) }}
)

// room returns where n more bytes can be copied to, behind the last copy if possible; nil
// if there is no room.
func (b *writeBatch) room(n int) []byte {
	if b.large == nil {
		if n <= smallBatch-b.used {
			return b.small[:]
		}
		if n > batchSize {
			return nil
		}
		// What is in small stays there.
		b.large, b.used, b.copied = larges.Get().(*[batchSize]byte), 0, false
	}
	if n > batchSize-b.used {
		return nil
	}
	return b.large[:]
}

// hold adds p, and reports whether there was room.
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

// Write writes like a net.Conn, but may hold p back if more follows. If that can't be
// sent later, the next read fails.
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

// flush sends what is held back.
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

// write sends p, through the TLS layer if there is one.
func (c *Conn) write(p []byte) (int, error) {
	if c.tls.layer == nil {
		return c.send(p)
	}
	if !c.established() {
		return 0, net.ErrClosed // there is no client that could read it
	}
	n, err := c.tls.layer.session.Write(p)
	if err != nil {
		c.tls.layer.broken = true
	}
	return n, err
}

// sendAll sends several pieces in one system call (writev(2)).
func (c *Conn) sendAll(pieces *net.Buffers) error {
	c.armWrite()
	for {
		err := writeBuffers(c.Conn, pieces)
		if err == nil || !timedOut(err) || !c.rearmWrite() {
			return err
		}
	}
}

// writeBuffers removes from pieces what it has written.
func writeBuffers(c net.Conn, pieces *net.Buffers) error {
	if own, ok := c.(interface{ writeBuffers(*net.Buffers) error }); ok {
		return own.writeBuffers(pieces)
	}
	_, err := pieces.WriteTo(c)
	return err
}
