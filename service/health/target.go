package health

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

// userAgent tells the owner of an endpoint who calls it.
const userAgent = "kubernaut-dynamic-toolset-health"

// A target is a probe that has been parsed, so that this is not repeated for every check.
type target struct {
	probe   service.Probe
	invalid string // why the probe can't be used; empty if it can
	host    string // to resolve, and to connect to
	port    string
	tls     bool
	request *http.Request // for ProbeHTTP; never changed
	what    string        // "GET /-/healthy", for reasons
}

// compile parses p. If p can't be used, the checks of the target fail with the reason, so
// that whoever wrote the annotation finds it where the health is shown.
func compile(p service.Probe) *target {
	p.AcceptStatus = slices.Clone(p.AcceptStatus)
	t := &target{probe: p}
	switch p.Kind {
	case service.ProbeHTTP:
		t.compileHTTP(p.URL)
	case service.ProbeTCP:
		host, port, err := net.SplitHostPort(p.Address)
		if err != nil {
			t.invalid = "the address to check must have the form host:port"
			break
		}
		t.setAddress(host, port)
	default:
		t.invalid = "the kind of health check must be http or tcp, not " + outbound.Clean(p.Kind, 40)
	}
	return t
}

func (t *target) compileHTTP(raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		// err quotes the URL, which may hold a password.
		t.invalid = "the URL to check is not a valid URL"
		return
	case u.Scheme != "http" && u.Scheme != "https":
		t.invalid = "the URL to check must start with http:// or https://"
		return
	case u.User != nil:
		t.invalid = "the URL to check holds a user name or password; health checks send no credentials, so remove it"
		return
	}
	port := u.Port()
	if t.tls = u.Scheme == "https"; port == "" {
		port = "80"
		if t.tls {
			port = "443"
		}
	}
	if !t.setAddress(u.Hostname(), port) {
		return
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	t.request = &http.Request{
		Method: http.MethodGet,
		URL:    u,
		Host:   u.Host,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {userAgent}, "Accept": {"*/*"}},
	}
	// Without the query, which may hold a token.
	t.what = "GET " + outbound.Clean(u.EscapedPath(), 60)
}

// setAddress sets the host and port, or why they can't be used.
func (t *target) setAddress(host, port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case host == "":
		t.invalid = "the endpoint to check has no host"
	case len(host) > 253:
		t.invalid = "the host name to check is longer than the 253 bytes that DNS allows"
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }):
		t.invalid = "the host name to check holds other than visible ASCII characters (write it in its xn-- form)"
	case err != nil || n == 0:
		t.invalid = "the port to check must be a number between 1 and 65535"
	default:
		t.host, t.port = host, strconv.FormatUint(n, 10)
		return true
	}
	return false
}

// same reports whether p asks for the same check as t.
func (t *target) same(p service.Probe) bool {
	return t.probe.Kind == p.Kind && t.probe.URL == p.URL && t.probe.Address == p.Address &&
		slices.Equal(t.probe.AcceptStatus, p.AcceptStatus)
}

// accepts reports whether an answer with this status proves that the back end is healthy.
func (t *target) accepts(status int) bool {
	return status >= 200 && status <= 299 || slices.Contains(t.probe.AcceptStatus, status)
}

// hostport returns host:port.
func (t *target) hostport() string { return net.JoinHostPort(t.host, t.port) }
