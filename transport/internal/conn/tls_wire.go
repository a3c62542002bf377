package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A wire is the socket as the TLS layer sees it. tls.Conn keeps the errors of reads for
// good, except temporary ones. os.ErrDeadlineExceeded is temporary (a net.Error), but
// during a handshake tls.Conn keeps even that.
type wire struct {
	net.Conn
	owner *Conn

	first    byte // was read before the handshake
	hasFirst bool
	until    time.Time // when the handshake must be complete
	reading  bool      // the layer is reading, and not writing
	nowait   bool      // reads take what has arrived, and don't wait
	shaken   int       // bytes of the handshake
	records  records
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.receive(p)
	w.records.follow(p[:n])
	if w.owner.idle.state.Load() == handshaking {
		// Announced bytes count, since the layer makes room for a whole record.
		if w.shaken += n; w.shaken+w.records.missing() > maxHandshake {
			return n, errLongHandshake
		}
	}
	return n, err
}

// maxHandshake is how many bytes a client may send until its session is established. The
// layer stores them, up to 64 KiB of a message, for clients that nobody knows yet. A
// ClientHello with post-quantum keys has about 2 KB.
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
		if n > 0 || w.owner.idle.state.Load() != handshaking || !errors.Is(err, os.ErrDeadlineExceeded) || w.owner.idle.woken.Swap(0) == 0 {
			return n, err
		}
		// The drain found the connection idle just as the handshake began.
		if err := w.SetReadDeadline(w.until); err != nil {
			return 0, err
		}
	}
}

// Write sets a new deadline for what the layer itself writes during a read (the answer to
// a key update, RFC 8446, section 4.6.3). The current deadline is for the last response,
// and may have passed.
func (w *wire) Write(p []byte) (int, error) {
	switch {
	case w.owner.idle.state.Load() == handshaking:
		return w.Conn.Write(p) // a handshake has its own deadline
	case w.reading:
		if err := w.owner.SetWriteDeadline(time.Now().Add(w.owner.owner.limits.ReadTimeout)); err != nil {
			return 0, err
		}
	}
	return w.owner.send(p)
}

// SetWriteDeadline is called by the TLS layer, which sets a deadline for its last alert.
func (w *wire) SetWriteDeadline(t time.Time) error { return w.owner.SetWriteDeadline(t) }

// records follows the bytes of TLS records, to know where each ends. A record has a
// header of five bytes; the last two are the length of the rest (RFC 8446, section 5.1;
// the same in TLS 1.2).
type records struct {
	header int // bytes of the header that were read
	left   int // bytes left behind the header
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

// missing returns how many bytes of the current record have been announced and have not
// arrived.
func (r *records) missing() int {
	if r.header < 5 {
		return 0
	}
	return r.left
}

// within reports whether the last byte was not the end of a record.
func (r *records) within() bool { return r.header > 0 }
