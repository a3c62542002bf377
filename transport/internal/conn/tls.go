package conn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"
)

// A tlsLayer is what lies between a Conn and its socket where the port speaks
// TLS. It belongs to the goroutine that serves the connection, except settings,
// which all connections share.
//
// The drain looks at what has arrived before it ends a connection. Behind TLS
// that is more than what the socket holds: the TLS layer reads ahead, and keeps
// what it has not decrypted yet, or has decrypted and not delivered. So the
// readable check is a read through the layer that does not wait.
type tlsLayer struct {
	settings *TLS
	session  *tls.Conn // nil before the client's first byte
	wire     wire
	// A byte that a readable check found; the next read begins with it.
	found    [1]byte
	hasFound bool
	// broken is set when a write has failed, perhaps in the middle of a record:
	// the client could not make anything of one that follows.
	broken bool
}

// established reports whether there is a TLS session.
func (c *Conn) established() bool { return c.tls.layer != nil && c.tls.layer.session != nil }

// withinRecord reports whether part of a TLS record has arrived, which then is
// the beginning of a request.
func (c *Conn) withinRecord() bool { return c.established() && c.tls.layer.wire.records.within() }

// ErrTLSHello is a read's error when a client begins to speak TLS to a port
// that does not.
var ErrTLSHello = errors.New("a TLS handshake on a port that speaks plain HTTP")

// recordHandshake is the first byte of every TLS connection: the type of a
// record (RFC 8446, section 5.1). No request begins with it.
const recordHandshake = 0x16

// startsRequest reports whether a client that should begin a handshake, but
// sends b, speaks HTTP: methods begin with letters (RFC 9110, section 9.1).
func startsRequest(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// handshakeError tells a slow handshake from others.
func handshakeError(err error, timeout time.Duration) error {
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("it was not complete %s after its first byte: %w", timeout, err)
	}
	return err
}

// handshake establishes the session of c, whose first byte has arrived. It has
// as long as a request may take. Its error is not for the client, who has had
// an alert if one helps.
func (l *tlsLayer) handshake(c *Conn, first byte) error {
	until := time.Now().Add(c.owner.limits.ReadTimeout)
	if err := c.Conn.SetDeadline(until); err != nil {
		return err
	}
	l.wire = wire{Conn: c.Conn, owner: c, first: first, hasFirst: true, until: until}
	l.session = tls.Server(&l.wire, l.settings.Config())
	if err := l.session.Handshake(); err != nil {
		return handshakeError(err, c.owner.limits.ReadTimeout)
	}
	c.in.armed = 0
	return c.SetWriteDeadline(noDeadline)
}

// read reads decrypted bytes. Without wait it returns os.ErrDeadlineExceeded
// when there are none yet.
func (l *tlsLayer) read(p []byte, wait bool) (n int, err error) {
	if l.hasFound && len(p) > 0 {
		p[0], l.hasFound = l.found[0], false
		n, p, wait = 1, p[1:], false
		if len(p) == 0 {
			return n, nil
		}
	}
	l.wire.reading, l.wire.nowait = true, !wait
	m, err := l.session.Read(p)
	l.wire.reading, l.wire.nowait = false, false
	if n += m; n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// more reports whether the client has sent more than was read, if only a part
// of a record. What is no data, such as the alert that ends a session, is none.
func (l *tlsLayer) more() bool {
	err := l.checkReadable()
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded) && l.wire.records.within()
}

// silent reports whether the client has sent nothing more, and has not ended the
// session either.
func (l *tlsLayer) silent() bool {
	return errors.Is(l.checkReadable(), os.ErrDeadlineExceeded) && !l.wire.records.within()
}

// checkReadable reads a byte, if there is one, for the next read. It returns
// os.ErrDeadlineExceeded if there is none yet.
func (l *tlsLayer) checkReadable() error {
	if l.hasFound {
		return nil
	}
	n, err := l.read(l.found[:], false)
	if l.hasFound = n > 0; l.hasFound {
		return nil
	}
	return err
}
