package load

import (
	"errors"
	"net"
	"time"
)

const (
	// maxHeader bounds the header of a response, with those of interim responses: to
	// parse a flood of headers costs more than to receive it.
	maxHeader = 64 << 10
	// maxResponse bounds the body of a response.
	maxResponse = 1 << 20
	// maxEvent bounds an event of a stream. Only its name is kept.
	maxEvent = 16 << 20
)

var errTooLarge = errors.New("the response is larger than this client reads")

// wire is the receiving side of a connection. It bounds what is read, and keeps the
// connection's own error, which a parser hides: it takes a status line that was cut
// short by a reset for a malformed one.
type wire struct {
	conn net.Conn
	left int           // bytes that may still be read
	got  int           // bytes read since the request was sent
	err  error         // of the last read since then that failed
	idle time.Duration // how long a read may wait; 0: until the deadline
}

// expect prepares for the next response.
func (w *wire) expect() { w.left, w.got, w.err = maxHeader, 0, nil }

func (w *wire) Read(p []byte) (int, error) {
	if w.left <= 0 {
		w.err = errTooLarge
		return 0, w.err
	}
	if w.idle > 0 {
		if err := w.conn.SetReadDeadline(time.Now().Add(w.idle)); err != nil {
			w.err = err
			return 0, err
		}
	}
	n, err := w.conn.Read(p[:min(len(p), w.left)])
	w.left -= n
	w.got += n
	if err != nil {
		w.err = err
	}
	return n, err
}
