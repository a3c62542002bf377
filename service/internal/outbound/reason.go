package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Failure says in one sentence why there was no answer from a host and port; empty if the
// time was over, which the caller knows and says. final means that another attempt would
// have the same result. No text quotes what the endpoint has sent.
func Failure(ctx context.Context, host, port string, err error) (text string, final bool) {
	var refused *refusedError
	if errors.As(err, &refused) {
		return refused.Error(), true
	}
	if text := certificate(host, err); text != "" {
		return text, true
	}
	return failed(ctx, host, port, err), false
}

func failed(ctx context.Context, host, port string, err error) string {
	var dns *net.DNSError
	isDNS := errors.As(err, &dns)
	if isDNS && dns.IsNotFound {
		return "name does not resolve: " + Clean(host, 140)
	}
	if ctx.Err() != nil {
		if isDNS {
			return "no name server answered in time for " + Clean(host, 120)
		}
		return "" // the caller knows the timeout and says it
	}
	var (
		record tls.RecordHeaderError
		errno  syscall.Errno
	)
	where := Clean(net.JoinHostPort(host, port), 120)
	switch {
	case isDNS:
		return "the lookup of the name failed: " + Clean(host, 120)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused by " + where
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to " + where
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "this service has too many open files to connect to " + where + "; raise its limit (ulimit -n) or lower --health-concurrency"
	case errors.As(err, &record):
		return where + " does not speak TLS; use http:// if that is meant"
	case errors.Is(err, errLongHeader), errors.Is(err, errInterim):
		return err.Error()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return where + " closed the connection without an answer"
	case errors.As(err, &errno):
		return "the connection to " + where + " failed: " + Clean(errno.Error(), 60)
	case errors.Is(err, ErrHandshake):
		return "the TLS handshake with " + where + " failed"
	}
	return "the answer of " + where + " is not valid HTTP/1.1"
}

// certificate says what is wrong with the endpoint's certificate and what to do; empty if
// err has another cause.
func certificate(host string, err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority; give its CA certificate with --health-ca-file"
	case errors.As(err, &hostname):
		return "the certificate is not valid for " + Clean(host, 80) + "; reissue it with that name, or use a name that it holds"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet; renew it, and compare the clocks"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "the certificate can't be verified; reissue it, or give its CA certificate with --health-ca-file"
	}
	return ""
}

// Clean makes s fit to be shown: unprintable characters escaped, and cut to at most limit
// bytes.
func Clean(s string, limit int) string {
	const more = "..."
	var b strings.Builder
	cut := 0 // where to cut if s is too long
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			q := strconv.QuoteToASCII(string(r))
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
		if b.Len() > limit {
			return b.String()[:cut] + more[:max(0, min(len(more), limit))]
		}
		if b.Len() <= limit-len(more) {
			cut = b.Len()
		}
	}
	return b.String()
}
