package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A tlsLayer is what lies between a conn and its socket where the port speaks
// TLS. It belongs to the goroutine that serves the connection, except settings,
// which all connections share.
//
// The drain looks at what has arrived before it ends a connection. Behind TLS
// that is more than what the socket holds: the TLS layer reads ahead, and keeps
// what it has not decrypted yet, or has decrypted and not delivered. So the
// The readable check is a read through the layer that does not wait.
type tlsLayer struct {
	settings *serverTLS
	session  *tls.Conn // nil before the client's first byte
	wire     wire
	// A byte that a readable check found; the next read begins with it.
	found    [1]byte
	hasFound bool
	// broken is set when a write has failed, perhaps in the middle of a record:
	// the client could not make anything of one that follows.
	broken bool
}

// handshake establishes the session of c, whose first byte has arrived. It has
// as long as a request may take. Its error is not for the client, who has had
// an alert if one helps.
func (l *tlsLayer) handshake(c *conn, first byte) error {
	until := time.Now().Add(c.owner.limits.ReadTimeout)
	if err := c.Conn.SetDeadline(until); err != nil {
		return err
	}
	l.wire = wire{Conn: c.Conn, owner: c, first: first, hasFirst: true, until: until}
	l.session = tls.Server(&l.wire, l.settings.config.Load())
	if err := l.session.Handshake(); err != nil {
		return handshakeError(err, c.owner.limits.ReadTimeout)
	}
	c.readArmed = 0
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

// A wire is the socket as the TLS layer sees it. The errors of its reads are
// kept by tls.Conn, except those that pass: os.ErrDeadlineExceeded is one (it
// is a net.Error that is temporary), but during a handshake that is kept too.
type wire struct {
	net.Conn
	owner *conn

	first    byte // was read before the handshake began
	hasFirst bool
	until    time.Time // the end of the time for the handshake
	reading  bool      // the layer is reading
	nowait   bool      // a read takes what is there
	shaken   int       // bytes of the handshake
	records  records
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.receive(p)
	w.records.follow(p[:n])
	if w.owner.state.Load() == shaking {
		// What is announced counts, as the layer makes room for a whole record.
		if w.shaken += n; w.shaken+w.records.missing() > maxHandshake {
			return n, errLongHandshake
		}
	}
	return n, err
}

// maxHandshake is how many bytes a client may send until its session is established:
// the layer keeps them, up to 64 KiB of a message, from clients that nobody knows yet.
// A ClientHello has about 2 KB with post-quantum keys.
const maxHandshake = 8 << 10

var errLongHandshake = fmt.Errorf("the client's part of it is longer than %d bytes", maxHandshake)

func (w *wire) receive(p []byte) (int, error) {
	if w.hasFirst && len(p) > 0 {
		p[0], w.hasFirst = w.first, false
		return 1, nil
	}
	if w.nowait {
		n, err := readNow(w.Conn, p)
		if n == 0 && err == nil {
			err = os.ErrDeadlineExceeded
		}
		return n, err
	}
	for {
		n, err := w.Conn.Read(p)
		if n > 0 || w.owner.state.Load() != shaking || !errors.Is(err, os.ErrDeadlineExceeded) || w.owner.woken.Swap(0) == 0 {
			return n, err
		}
		// The drain took the connection for idle just as the handshake began.
		if err := w.SetReadDeadline(w.until); err != nil {
			return 0, err
		}
	}
}

// Write gives what the layer writes of its own while it reads (the answer to a
// key update, RFC 8446, section 4.6.3) a deadline of its own: the one that is
// set is that of the response before, and may have passed.
func (w *wire) Write(p []byte) (int, error) {
	switch {
	case w.owner.state.Load() == shaking:
		return w.Conn.Write(p) // its time is that of the handshake
	case w.reading:
		if err := w.owner.SetWriteDeadline(time.Now().Add(w.owner.owner.limits.ReadTimeout)); err != nil {
			return 0, err
		}
	}
	return w.owner.send(p)
}

// SetWriteDeadline is for the last alert, which the TLS layer gives a time of its
// own.
func (w *wire) SetWriteDeadline(t time.Time) error { return w.owner.SetWriteDeadline(t) }

// records follows the bytes of TLS records, to know where one ends. A record
// has a header of five bytes, the last two of which are the length of the rest
// (RFC 8446, section 5.1; the same in TLS 1.2).
type records struct {
	header int // bytes of the header that were seen
	left   int // bytes that follow it
}

func (r *records) follow(b []byte) {
	for len(b) > 0 {
		if r.header < 5 {
			switch r.header {
			case 3:
				r.left = int(b[0]) << 8
			case 4:
				r.left |= int(b[0])
			}
			r.header++
			b = b[1:]
		} else {
			n := min(len(b), r.left)
			r.left -= n
			b = b[n:]
		}
		if r.header == 5 && r.left == 0 {
			r.header = 0
		}
	}
}

// missing returns how many bytes of a record are announced and have not arrived.
func (r *records) missing() int {
	if r.header < 5 {
		return 0
	}
	return r.left
}

// within reports whether the last byte was not the last of its record.
func (r *records) within() bool { return r.header > 0 }
