package conn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"
)

// A tlsLayer is the TLS session between a Conn and its socket. It belongs to the
// goroutine that serves the connection, except settings, which all connections share.
//
// Before the drain ends a connection it checks what has arrived. With TLS that is more
// than what the socket holds: the TLS layer reads ahead, and keeps bytes that it has not
// decrypted yet, or has decrypted and not returned. So the check is a read through the
// layer that does not wait.
type tlsLayer struct {
	settings *TLS
	session  *tls.Conn // nil before the client's first byte
	wire     wire
	// A byte that checkReadable has read; the next read begins with it.
	found    [1]byte
	hasFound bool
	// broken is set when a write has failed, perhaps in the middle of a record. The
	// client could not decrypt a further record.
	broken bool
}

// established reports whether there is a TLS session.
func (c *Conn) established() bool { return c.tls.layer != nil && c.tls.layer.session != nil }

// withinRecord reports whether part of a TLS record has arrived. It is then taken for the
// beginning of a request.
func (c *Conn) withinRecord() bool { return c.established() && c.tls.layer.wire.records.within() }

// ErrTLSHello is the error of a read when a client speaks TLS on a port without.
var ErrTLSHello = errors.New("a TLS handshake on a port that speaks plain HTTP")

// recordHandshake is the first byte of every TLS connection: the type of its first record
// (RFC 8446, section 5.1). No HTTP request begins with it.
const recordHandshake = 0x16

// startsRequest reports whether b, the first byte of a client that should begin a
// handshake, can begin an HTTP request: methods begin with a letter (RFC 9110, section
// 9.1).
func startsRequest(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// handshakeError returns an error that tells a handshake that took too long from others.
func handshakeError(err error, timeout time.Duration) error {
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("it was not complete %s after its first byte: %w", timeout, err)
	}
	return err
}

// handshake establishes the session of c, whose first byte has arrived. It may take as
// long as a request. The error is not for the client, which has received an alert if that
// helps.
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

// read reads decrypted bytes. Without wait it returns os.ErrDeadlineExceeded when there
// are none yet.
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

// more reports whether the client has sent more data than was read, even if it is only
// part of a record. An alert that ends the session, for example, is not data.
func (l *tlsLayer) more() bool {
	err := l.checkReadable()
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded) && l.wire.records.within()
}

// silent reports whether the client has neither sent more data nor ended the session.
func (l *tlsLayer) silent() bool {
	return errors.Is(l.checkReadable(), os.ErrDeadlineExceeded) && !l.wire.records.within()
}

// checkReadable reads one byte for the next read. It returns os.ErrDeadlineExceeded if
// there is none yet.
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
