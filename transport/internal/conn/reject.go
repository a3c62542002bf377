package conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Connections over the limit are told so, each of them, by goroutines of a bounded
// number. While all of these are at work, further connections wait in the kernel's
// queue, which is better than to be reset. So each takes a short time only.

const (
	// MaxRejecting is how many connections over the limit are told so at once, and
	// maxRejectingTLS how many where that takes a handshake. Those beyond wait to be
	// accepted.
	MaxRejecting    = 256
	maxRejectingTLS = 64

	// rejectWait is how long a connection over the limit has for the first byte of
	// its request, which costs a goroutine and no buffer.
	rejectWait = time.Second
	// rejectTime is how long it has then, until it has got its answer; more with TLS,
	// when many handshakes keep the processors busy.
	rejectTime    = time.Second
	rejectTimeTLS = 5 * time.Second
	// rejectWrite bounds the sending of the answer, which fits into any socket's buffer: on a
	// busy machine this goroutine may wait for long until it is its turn.
	rejectWrite = 5 * time.Second
	// rejectRead is how much of its request is read.
	rejectRead = 4096
)

var (
	endOfHead     = []byte("\r\n\r\n")
	rejectBuffers = sync.Pool{New: func() any { return new([rejectRead]byte) }}
)

// A Rejection is a connection over the limit, which is to be told so.
type Rejection struct {
	Client net.Addr
	// Head is the head of its request as far as it came, and belongs to the connection;
	// empty if none came.
	Head []byte
	// MethodHead says that the request is a HEAD, however malformed the rest is.
	MethodHead bool
}

// reject tells a connection over the limit so and closes it.
func (l *Listener) reject(nc net.Conn) {
	defer nc.Close() //nolint:errcheck // nothing is left to be done about it
	// The request is waited for, since its answer has its identifier and path, and
	// no body if it is a HEAD. Who sends none is told all the same.
	if nc.SetReadDeadline(time.Now().Add(rejectWait)) != nil {
		return
	}
	silent := errors.Is(waitReadable(nc), os.ErrDeadlineExceeded)
	limit := rejectTime
	if l.tls != nil {
		limit = rejectTimeTLS
	}
	if silent && l.tls != nil || nc.SetDeadline(time.Now().Add(limit)) != nil {
		return
	}
	if l.tls != nil {
		session := tls.Server(nc, l.tls.Config())
		if session.Handshake() != nil {
			return
		}
		nc = session
	}
	buf := rejectBuffers.Get().(*[rejectRead]byte)
	defer rejectBuffers.Put(buf)
	r := Rejection{Client: nc.RemoteAddr()}
	if !silent {
		r.Head = readHead(nc, buf[:])
		r.MethodHead = saysHead(bytes.TrimLeft(r.Head, "\r\n"))
	}
	if nc.SetDeadline(time.Now().Add(rejectWrite)) != nil { // that of the read may have passed
		return
	}
	if l.answer(nc, r) == nil {
		lingeringClose(nc)
	}
}

// readHead reads the head of a request as far as it comes and fits into buf.
func readHead(r io.Reader, buf []byte) []byte {
	n := 0
	for n < len(buf) && !bytes.Contains(buf[:n], endOfHead) {
		m, err := r.Read(buf[n:])
		if n += m; err != nil {
			break
		}
	}
	return buf[:n]
}
