package transport

import (
	"errors"
	"net"
	"os"
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
)

// A cork is what is held of a connection's responses.
type cork struct {
	used   int
	buf    [corkSize]byte
	copied bool // the last piece is a copy, behind which there is room
	held   net.Buffers
	pieces [corkPieces][]byte
}

var corks = sync.Pool{New: func() any { return new(cork) }}

// hold adds p; false if there is no room for it.
func (k *cork) hold(p []byte, lasting bool) bool {
	n := len(k.held)
	switch {
	case lasting:
		if n == corkPieces {
			return false
		}
		k.held = append(k.held, p)
	case len(p) > corkSize-k.used || n == corkPieces && !k.copied:
		return false
	default:
		from := k.used
		k.used += copy(k.buf[from:], p)
		if k.copied {
			last := &k.held[n-1]
			*last = k.buf[from-len(*last) : k.used]
		} else {
			k.held = append(k.held, k.buf[from:k.used])
		}
	}
	k.copied = !lasting
	return true
}

// Write writes like net.Conn, later if more follows. An error of what is written
// later ends the connection at the next read.
func (c *conn) Write(p []byte) (int, error) {
	if c.muted != nothingMuted {
		return c.writeMuted(p)
	}
	more := !c.streaming && (c.heads < c.ahead.heads || len(p) >= writeBufferSize)
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
	k.held, k.used, k.copied = nil, 0, false
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
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.rearmWrite() {
			return err
		}
	}
}
