package transport

import (
	"net"
	"sync"
)

// Each write to a socket costs as much as all else that is done for a lookup. So
// what belongs together leaves in one: the parts of a response that is larger than
// fasthttp's buffer, and the responses to requests that came together. Meanwhile
// they are held here, large bodies where they are and all else as a copy.

const (
	// writeBufferSize is that of fasthttp's buffer. A write that is shorter is the
	// end of a response, or of what is to be seen at once; one that is longer is not
	// of that buffer.
	writeBufferSize = 2 << 10
	corkSize        = 32 << 10
	corkPieces      = 64
	// smallCork holds what comes before a large body. A client that does not read
	// keeps its cork for as long as a response may take.
	smallCork = 3 << 10
)

// A cork is what is held of a connection's responses.
type cork struct {
	used   int
	small  [smallCork]byte
	large  *[corkSize]byte // nil until small is full
	copied bool            // the last piece is a copy, behind which there is room
	held   net.Buffers
	pieces [corkPieces][]byte
}

var (
	corks  = sync.Pool{New: func() any { return new(cork) }}
	larges = sync.Pool{New: func() any { return new([corkSize]byte) }}
)

// room returns where n more bytes can be copied to, behind the last copy if it can
// be; nil if nowhere.
func (k *cork) room(n int) []byte {
	if k.large == nil {
		if n <= smallCork-k.used {
			return k.small[:]
		}
		if n > corkSize {
			return nil
		}
		// What is in the small one stays there.
		k.large, k.used, k.copied = larges.Get().(*[corkSize]byte), 0, false
	}
	if n > corkSize-k.used {
		return nil
	}
	return k.large[:]
}

// hold adds p; false if there is no room for it.
func (k *cork) hold(p []byte, lasting bool) bool {
	n := len(k.held)
	if lasting {
		if n == corkPieces {
			return false
		}
		k.held = append(k.held, p)
		k.copied = false
		return true
	}
	buf := k.room(len(p))
	if buf == nil || n == corkPieces && !k.copied {
		return false
	}
	from := k.used
	k.used += copy(buf[from:], p)
	if k.copied {
		last := &k.held[n-1]
		*last = buf[from-len(*last) : k.used]
	} else {
		k.held = append(k.held, buf[from:k.used])
	}
	k.copied = true
	return true
}

// Write writes like net.Conn, later if more follows. An error of what is written
// later ends the connection at the next read.
func (c *conn) Write(p []byte) (int, error) {
	if c.muted != nothingMuted {
		return c.writeMuted(p)
	}
	more := !c.streaming && (c.ahead.more || len(p) >= writeBufferSize)
	if c.cork == nil && !more {
		return c.write(p)
	}
	if c.cork == nil {
		c.cork = corks.Get().(*cork)
		c.cork.held = c.cork.pieces[:0]
	}
	lasting := c.lasting && c.layer == nil && len(p) > writeBufferSize
	if !c.cork.hold(p, lasting) {
		if err := c.uncork(); err != nil {
			return 0, err
		}
		return c.write(p)
	}
	if !more {
		if err := c.uncork(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// uncork sends what is held.
func (c *conn) uncork() (err error) {
	k := c.cork
	if k == nil {
		return nil
	}
	c.cork = nil
	n := len(k.held)
	if n == 1 || c.layer != nil {
		for _, p := range k.held {
			if _, err = c.write(p); err != nil {
				break
			}
		}
	} else {
		err = c.sendAll(&k.held)
	}
	c.broken = c.broken || err != nil
	clear(k.pieces[:n])
	if k.large != nil {
		larges.Put(k.large)
	}
	k.held, k.used, k.copied, k.large = nil, 0, false, nil
	corks.Put(k)
	return err
}

// write sends p through the layer, if there is one.
func (c *conn) write(p []byte) (int, error) {
	if c.layer == nil {
		return c.send(p)
	}
	if c.layer.session == nil {
		return 0, net.ErrClosed // no client is there to read it
	}
	n, err := c.layer.session.Write(p)
	if err != nil {
		c.layer.broken = true
	}
	return n, err
}

// sendAll is send for several pieces (writev(2)).
func (c *conn) sendAll(pieces *net.Buffers) error {
	c.armWrite()
	for {
		_, err := pieces.WriteTo(c.Conn) // which removes what was written
		if err == nil || !timedOut(err) || !c.rearmWrite() {
			return err
		}
	}
}
