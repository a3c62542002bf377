package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Kinds of failure of a call to an API server, for errors.Is.
var (
	// ErrForbidden: the API server knows us and refuses, mostly as a right is
	// missing; which one, a *MissingRight among the causes says.
	ErrForbidden = errors.New("forbidden")
	// ErrUnauthorized: the API server does not accept our credentials.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnreachable: no answer, or one that only a failing server gives.
	ErrUnreachable = errors.New("unreachable")
)

// A call names what was asked of the API server, in RBAC's words.
type call struct {
	verbs     string // "list", or "list and watch" where it may be either
	resource  string // "services"
	name      string // "" is all of them
	namespace string // "" is all
	host      string // the API server's URL
}

// explained is an error in words for an operator; kind is what errors.Is sees.
type explained struct {
	text  string
	kind  error
	cause error
}

func (e *explained) Error() string   { return e.text }
func (e *explained) Unwrap() []error { return []error{e.kind, e.cause} }

// explain puts err, the outcome of c, into a sentence that says what to do.
func (c call) explain(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	cause := clean(err.Error())
	wrap := func(kind error, format string, args ...any) error {
		return &explained{fmt.Sprintf(format, args...), kind, err}
	}
	switch {
	case apierrors.IsForbidden(err):
		return c.explainForbidden(err, cause)
	case apierrors.IsUnauthorized(err):
		return wrap(ErrUnauthorized, "the API server at %s does not accept our credentials (401): the token or client certificate has expired or belongs to another cluster (%s)", c.host, cause)
	case errors.As(err, &dns):
		return wrap(ErrUnreachable, "the API server's name cannot be resolved (%s): check the address and DNS (%s)", c.host, cause)
	case errors.As(err, &cert):
		return wrap(ErrUnreachable, "the certificate of the API server at %s is not trusted: check certificate-authority in the kubeconfig, and whether this is the server that is meant (%s)", c.host, cause)
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrap(ErrUnreachable, "nothing listens at %s: the API server is down, or the address is wrong (%s)", c.host, cause)
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return wrap(ErrUnreachable, "the API server at %s did not answer in time: it is overloaded, or a firewall drops the packets (%s)", c.host, cause)
	case isTransport(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsTooManyRequests(err):
		return wrap(ErrUnreachable, "the API server at %s cannot be used now: %s", c.host, cause)
	}
	return wrap(err, "to %s %s failed: %s", c.verbs, c.resource, cause)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// isTransport says whether there was no answer at all, of whatever kind.
func isTransport(err error) bool {
	var status apierrors.APIStatus
	return err != nil && !errors.As(err, &status)
}

// maxText bounds foreign text in logs and messages, bytes.
const maxText = 500

// clean makes foreign text fit for a log line: one line, printable, bounded.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*maxText)])
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		end := maxText
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return s
}

// names lists the keys of m for a person, quoted, at most ten of them.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	keys := slices.Sorted(maps.Keys(m))
	more := ""
	if len(keys) > 10 {
		keys, more = keys[:10], ", ..."
	}
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%q", clean(k))
	}
	return strings.Join(keys, ", ") + more
}
