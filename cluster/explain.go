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
	"k8s.io/client-go/rest"
)

// Kinds of failure of a call to an API server, for errors.Is.
var (
	// ErrForbidden: the API server knows us and refuses the call, mostly because a right
	// is missing. Then the error also wraps a *MissingRight.
	ErrForbidden = errors.New("forbidden")
	// ErrUnauthorized: the API server does not accept our credentials.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnreachable: there was no answer, or one that only a failing server gives.
	ErrUnreachable = errors.New("unreachable")
	// ErrNoNamespace: the namespace does not exist, or is being deleted.
	ErrNoNamespace = errors.New("namespace missing")
)

// A Call describes a call to the API server, in the terms of RBAC.
type Call struct {
	Verbs     string // "list", or "list and watch" if it may be either
	Resource  string // "services"
	Name      string // "" means all of them
	Namespace string // "" means all
	Host      string // URL of the API server
}

// NoNamespace returns an *Error that says that a call has failed, with cause, because the
// namespace does not exist.
func NoNamespace(namespace string, cause error) error {
	return &Error{fmt.Sprintf("the namespace %q does not exist; create it, or name another one (%s)", namespace, Clean(cause.Error())), ErrNoNamespace, cause}
}

// Host returns the URL of the API server that client calls, for Call.Host.
func Host(client rest.Interface) string {
	if c, ok := client.(*rest.RESTClient); ok && c != nil {
		return strings.TrimSuffix(c.Get().URL().String(), "/")
	}
	return "its address"
}

// An Error is a failed call, described for an operator.
type Error struct {
	Text  string
	Kind  error // for errors.Is and errors.As: ErrForbidden, a *MissingRight and so on
	Cause error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// Explain returns an *Error that says in a sentence why c has failed with err, and what
// to do.
func (c Call) Explain(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	cause := Clean(err.Error())
	wrap := func(kind error, format string, args ...any) error {
		return &Error{fmt.Sprintf(format, args...), kind, err}
	}
	switch {
	case apierrors.IsForbidden(err):
		return c.explainForbidden(err, cause)
	case apierrors.IsUnauthorized(err):
		return wrap(ErrUnauthorized, "the API server at %s does not accept our credentials (401): the token or client certificate has expired or belongs to another cluster (%s)", c.Host, cause)
	case errors.As(err, &dns):
		return wrap(ErrUnreachable, "the API server's name cannot be resolved (%s): check the address and DNS (%s)", c.Host, cause)
	case errors.As(err, &cert):
		return wrap(ErrUnreachable, "the certificate of the API server at %s is not trusted: check certificate-authority in the kubeconfig, and whether this is the server that is meant (%s)", c.Host, cause)
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrap(ErrUnreachable, "nothing listens at %s: the API server is down, or the address is wrong (%s)", c.Host, cause)
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return wrap(ErrUnreachable, "the API server at %s did not answer in time: it is overloaded, or a firewall drops the packets (%s)", c.Host, cause)
	case isTransport(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsTooManyRequests(err):
		return wrap(ErrUnreachable, "the API server at %s cannot be used now: %s", c.Host, cause)
	}
	return wrap(err, "to %s %s failed: %s", c.Verbs, c.Resource, cause)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout() || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// isTransport reports whether there was no answer at all.
func isTransport(err error) bool {
	var status apierrors.APIStatus
	return err != nil && !errors.As(err, &status)
}

// MaxText is the length of the longest text from others in logs and messages, in bytes.
const MaxText = 500

// Clean makes text from others safe for a log: one line, printable, at most MaxText long.
func Clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*MaxText)])
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > MaxText {
		end := MaxText
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return s
}

// names lists the keys of m, quoted, at most ten of them.
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
		keys[i] = fmt.Sprintf("%q", Clean(k))
	}
	return strings.Join(keys, ", ") + more
}
