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

// Every connection over the limit gets a response that says so. A bounded number of
// goroutines do that. While all of them are busy, further connections wait in the
// kernel's queue, which is better than a reset. So each rejection may take a short time
// only.

const (
	// MaxRejecting bounds the rejections under way, and maxRejectingTLS those on a port
	// with TLS, which take a handshake. Further connections wait to be accepted.
	MaxRejecting    = 256
	maxRejectingTLS = 64

	// rejectWait is the time for the first byte of the request. While it lasts, a
	// rejection takes a goroutine and no buffer.
	rejectWait = time.Second
	// rejectTime is the time for the rest of the rejection. It is longer with TLS, since
	// many handshakes keep the CPUs busy.
	rejectTime    = time.Second
	rejectTimeTLS = 5 * time.Second
	// rejectWrite bounds the sending of the response. That fits into the buffer of any
	// socket, but on a busy machine this goroutine may wait for a CPU.
	rejectWrite = 5 * time.Second
	// rejectRead is how many bytes of the request are read.
	rejectRead = 4096
)

var (
	endOfHead     = []byte("\r\n\r\n")
	rejectBuffers = sync.Pool{New: func() any { return new([rejectRead]byte) }}
)

// A Rejection is a connection over the limit, for the function that writes its response.
type Rejection struct {
	Client net.Addr
	// Head is the head of the request as far as it has arrived; it may be empty. It is
	// valid until the function returns.
	Head []byte
	// MethodHead reports whether the request is a HEAD, even if the rest is malformed.
	MethodHead bool
}

// reject answers a connection over the limit and closes it.
func (l *Listener) reject(nc net.Conn) {
	defer nc.Close() //nolint:errcheck // nothing is left to be done about it
	// It waits for the request, since the response has the request's identifier and path,
	// and no body for a HEAD. A client that sends nothing gets a response all the same.
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
	if nc.SetDeadline(time.Now().Add(rejectWrite)) != nil { // the deadline of the read may have passed
		return
	}
	if l.writeRejection(nc, r) == nil {
		lingeringClose(nc)
	}
}

// readHead reads the head of a request, as far as it arrives and fits into buf.
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
