package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxReason is the maximal length of a reason in bytes.
const maxReason = 200

// judge reports whether an answer with this status means healthy, and the reason.
func judge(t *target, status int, d time.Duration) (bool, string) {
	answered := t.what + " answered " + strconv.Itoa(status)
	switch {
	case t.accepts(status):
		return true, answered + " in " + took(d)
	case status >= 300 && status <= 399:
		return false, answered + ": it redirects to another place; health checks do not follow redirects, so set the path it redirects to"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return false, answered + ": it wants credentials, which health checks do not send; set a health path that needs none"
	case status == http.StatusNotFound:
		return false, answered + ": set the health path that this back end has"
	}
	return false, answered
}

// failure returns the outcome of an attempt that got no answer. No text quotes what the
// endpoint sent.
func failure(ctx context.Context, t *target, err error) outcome {
	var refused *refusedError
	if errors.As(err, &refused) {
		return outcome{text: refused.Error(), final: true}
	}
	if text := certificate(t, err); text != "" {
		return outcome{text: text, final: true}
	}
	return outcome{text: failed(ctx, t, err)}
}

func failed(ctx context.Context, t *target, err error) string {
	var dns *net.DNSError
	isDNS := errors.As(err, &dns)
	if isDNS && dns.IsNotFound {
		return "name does not resolve: " + clean(t.host, 140)
	}
	if ctx.Err() != nil {
		if isDNS {
			return "no name server answered in time for " + clean(t.host, 120)
		}
		return "" // the caller knows the timeout and says it
	}
	var (
		record tls.RecordHeaderError
		errno  syscall.Errno
	)
	where := clean(t.hostport(), 120)
	switch {
	case isDNS:
		return "the lookup of the name failed: " + clean(t.host, 120)
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
		return "the connection to " + where + " failed: " + clean(errno.Error(), 60)
	case errors.Is(err, errHandshake):
		return "the TLS handshake with " + where + " failed"
	}
	return "the answer of " + where + " is not valid HTTP/1.1"
}

// certificate says what is wrong with the endpoint's certificate and what to do; empty if
// err has another cause.
func certificate(t *target, err error) string {
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
		return "the certificate is not valid for " + clean(t.host, 80) + "; reissue it with that name, or use a name that it holds"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet; renew it, and compare the clocks"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "the certificate can't be verified; reissue it, or give its CA certificate with --health-ca-file"
	}
	return ""
}

// sentence returns the reason for the outcome of a check, with the number of attempts,
// within maxReason.
func (c *Checker) sentence(o *outcome, attempts int) string {
	text := o.text
	if text == "" {
		text = "no answer within " + took(c.opts.Timeout)
	}
	suffix := ""
	if attempts > 1 {
		suffix = fmt.Sprintf(" (%d attempts)", attempts)
	}
	return clean(text, maxReason-len(suffix)) + suffix
}

// took formats a duration for people, such as "3 ms" or "1.5 s".
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(float64(d.Round(100*time.Millisecond))/float64(time.Second), 'f', -1, 64) + " s"
}

// clean makes s fit to be shown: unprintable characters escaped, and cut to at most limit
// bytes.
func clean(s string, limit int) string {
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
