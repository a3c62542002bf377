package transport

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// Connections over the limit are told so, each of them, by goroutines of a bounded
// number. While all of these are at work, further connections wait in the kernel's
// queue, which is better than to be reset. So each takes a short time only.

const (
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

var rejectBuffers = sync.Pool{New: func() any { return new([rejectRead]byte) }}

// rejectConnection tells a connection over the limit so and closes it.
func (p *portServer) rejectConnection(nc net.Conn) {
	defer nc.Close() //nolint:errcheck // nothing is left to be done about it
	// The request is waited for, since its answer has its identifier and path, and
	// no body if it is a HEAD. Who sends none is told all the same.
	if nc.SetReadDeadline(time.Now().Add(rejectWait)) != nil {
		return
	}
	silent := errors.Is(waitReadable(nc), os.ErrDeadlineExceeded)
	limit := rejectTime
	if p.tls != nil {
		limit = rejectTimeTLS
	}
	if silent && p.tls != nil || nc.SetDeadline(time.Now().Add(limit)) != nil {
		return
	}
	if p.tls != nil {
		session := tls.Server(nc, p.tls.config.Load())
		if session.Handshake() != nil {
			return
		}
		nc = session
	}
	var request fasthttp.Request
	request.Header.DisableSpecialHeader()
	isHead := false
	if !silent {
		buf := rejectBuffers.Get().(*[rejectRead]byte)
		isHead = readRejected(nc, buf[:], &request)
		rejectBuffers.Put(buf)
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, nc.RemoteAddr(), quietLogger{p.log})
	p.wrap(p.metrics.route("unmatched"), func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetBytesK(headerRetryAfter, "1")
		p.problem(ctx, problem.Unavailable, fmt.Sprintf("The service has reached its limit of %d connections; try again, or reuse connections.", p.limits.MaxConnections))
	})(&ctx)
	ctx.Response.SetConnectionClose()
	ctx.Response.SkipBody = isHead || ctx.IsHead()
	w := bufio.NewWriter(nc)
	if nc.SetDeadline(time.Now().Add(rejectWrite)) != nil { // that of the read may have passed
		return
	}
	if ctx.Response.Write(w) == nil && w.Flush() == nil {
		lingeringClose(nc)
	}
}

// readRejected reads the head of a request as far as it comes and fits into buf, and
// reports whether it is a HEAD. It is in request if it is well-formed.
func readRejected(nc net.Conn, buf []byte, request *fasthttp.Request) (isHead bool) {
	n := 0
	for n < len(buf) && !bytes.Contains(buf[:n], endOfHead) {
		m, err := nc.Read(buf[n:])
		if n += m; err != nil {
			break
		}
	}
	var parsed fasthttp.Request
	if parsed.Header.Read(bufio.NewReader(bytes.NewReader(buf[:n]))) == nil {
		parsed.CopyTo(request)
	}
	return saysHead(bytes.TrimLeft(buf[:n], "\r\n"))
}
