package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A wire is the socket as the TLS layer sees it. The errors of its reads are
// kept by tls.Conn, except those that pass: os.ErrDeadlineExceeded is one (it
// is a net.Error that is temporary), but during a handshake that is kept too.
type wire struct {
	net.Conn
	owner *Conn

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
	if w.owner.idle.state.Load() == shaking {
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
		if n > 0 || w.owner.idle.state.Load() != shaking || !errors.Is(err, os.ErrDeadlineExceeded) || w.owner.idle.woken.Swap(0) == 0 {
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
	case w.owner.idle.state.Load() == shaking:
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
