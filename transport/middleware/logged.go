package middleware

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// The log must contain as little as possible of what clients send: the method, the path
// without query and fragment, the identifier of the request and the client's address.
// Values of header fields, queries and bodies are never logged, since they may be tokens,
// and neither are error texts that quote them.

// QuietLogger is the logger of a fasthttp.Server. It logs at debug level, since any
// client can cause these lines, and drops fasthttp's texts, which quote what the client
// has sent.
type QuietLogger struct{ Log *zap.Logger }

// Printf logs the class of an error and the address of the client.
func (l QuietLogger) Printf(_ string, args ...any) {
	ce := l.Log.Check(zap.DebugLevel, "HTTP connection")
	if ce == nil {
		return
	}
	fields := []zap.Field{zap.String("error", "other")}
	for _, a := range args {
		switch a := a.(type) {
		case error:
			fields[0] = zap.String("error", errorClass(a))
		case net.Addr: // the last address is the client's
			fields = append(fields[:1], zap.Stringer("client", a))
		}
	}
	ce.Write(fields...)
}

// errorsByName are errors with a constant text.
var errorsByName = []error{
	fasthttp.ErrBodyTooLarge, fasthttp.ErrSmallReadBuffer, fasthttp.ErrBadTrailer, fasthttp.ErrMissingRequestMethod, fasthttp.ErrUnsupportedRequestMethod,
	fasthttp.ErrEmptyRequestURI, fasthttp.ErrDuplicateContentLength, fasthttp.ErrUnsupportedTransferEncoding,
	fasthttp.ErrConcurrencyLimit, io.ErrUnexpectedEOF, io.EOF, os.ErrDeadlineExceeded, net.ErrClosed, conn.ErrTLSHello,
}

// errorClass describes an error that a client has caused, in words that don't depend on
// what it sent.
func errorClass(err error) string {
	for _, known := range errorsByName {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var small *fasthttp.ErrSmallBuffer
	var errno syscall.Errno
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &small):
		return fasthttp.ErrSmallReadBuffer.Error()
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &alert):
		return alert.Error()
	case errors.As(err, &record):
		return record.Msg
	}
	return "the request is malformed"
}

// HandshakeClass is errorClass for TLS handshakes. The texts of crypto/tls contain only
// numbers, except those that quote what the client offers.
func HandshakeClass(err error) string {
	if text := err.Error(); !strings.Contains(text, "application protocol") {
		return printable([]byte(text), maxLogged)
	}
	return "no application protocol in common"
}

// maxLogged bounds the logged part of a path, in bytes before escaping.
const maxLogged = 1024

// printable makes a client's bytes safe for a log or a terminal: everything but printable
// ASCII is percent-encoded, and the text is cut after most bytes.
func printable(b []byte, most int) string {
	cut := len(b) > most
	if cut {
		b = b[:most]
	}
	var s strings.Builder
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			s.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			s.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	if cut {
		s.WriteString("...")
	}
	return s.String()
}

// loggedMethod and loggedPath return the method and path of a request for the log.
func loggedMethod(ctx *fasthttp.RequestCtx) string { return printable(ctx.Method(), 64) }

func loggedPath(ctx *fasthttp.RequestCtx) string {
	return printable([]byte(reply.Path(ctx)), maxLogged)
}
