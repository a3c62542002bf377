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

// What clients send ends up in the log as little as possible: the method, the path
// without query and fragment, the identifier of a request, the client's address.
// Values of header fields, queries and bodies never do, for they hold tokens; and so
// neither do texts of errors that were made of what came.

// QuietLogger receives what fasthttp logs of single connections, which is
// what any client can provoke: debug. It logs nothing of fasthttp's texts, which
// quote what came.
type QuietLogger struct{ Log *zap.Logger }

// Printf logs the kind of an error, and the client.
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
		case net.Addr: // the last one is the client's
			fields = append(fields[:1], zap.Stringer("client", a))
		}
	}
	ce.Write(fields...)
}

// errorsByName are errors the texts of which are always the same.
var errorsByName = []error{
	fasthttp.ErrBodyTooLarge, fasthttp.ErrSmallReadBuffer, fasthttp.ErrBadTrailer, fasthttp.ErrMissingRequestMethod, fasthttp.ErrUnsupportedRequestMethod,
	fasthttp.ErrEmptyRequestURI, fasthttp.ErrDuplicateContentLength, fasthttp.ErrUnsupportedTransferEncoding,
	fasthttp.ErrConcurrencyLimit, io.ErrUnexpectedEOF, io.EOF, os.ErrDeadlineExceeded, net.ErrClosed, conn.ErrTLSHello,
}

// errorClass says what kind of error came of what a client sent, in words that are
// the same whatever it sent.
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

// HandshakeClass is errorClass for TLS handshakes. Texts of crypto/tls are of
// numbers, except those that quote what the client offers.
func HandshakeClass(err error) string {
	if text := err.Error(); !strings.Contains(text, "application protocol") {
		return printable([]byte(text), maxLogged)
	}
	return "no application protocol in common"
}

// maxLogged bounds what the log has of a path, in bytes before escaping.
const maxLogged = 1024

// printable makes text of a client's bytes that does no harm in a log or terminal:
// all but printable ASCII is percent-encoded, and what is longer than most is cut.
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

// loggedMethod and loggedPath return those of a request for the log.
func loggedMethod(ctx *fasthttp.RequestCtx) string { return printable(ctx.Method(), 64) }

func loggedPath(ctx *fasthttp.RequestCtx) string {
	return printable([]byte(reply.Path(ctx)), maxLogged)
}
