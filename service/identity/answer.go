package identity

import (
	"bytes"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// An Answer is what an endpoint has answered to one request.
type Answer struct {
	Status int                 // 0 if there was no answer
	Header map[string][]string // by canonical names
	Body   []byte              // the first MaxBody bytes
	Cut    bool                // the body is longer than that, or did not end in time
	// Failure says why there was no answer.
	Failure Failure
	// Why is the same in one sentence, without anything that the endpoint has sent.
	Why string
	// TLS is service.TLSTrusted or service.TLSUntrusted over https, else empty.
	TLS string

	noJSON bool // known not to be JSON
}

// MaxBody is how many bytes of a body are read.
const MaxBody = 64 << 10

// A Failure is a reason for which there was no answer.
type Failure int

// The failures.
const (
	Answered    Failure = iota
	Unreachable         // no connection: the name, the network, the address, or nothing listens
	Timeout             // nothing in time
	Broken              // it closed the connection, or what it sent is not HTTP or not TLS
)

func (a *Answer) values(field string) []string {
	return a.Header[textproto.CanonicalMIMEHeaderKey(field)]
}

func (a *Answer) value(field string) string {
	if v := a.values(field); len(v) > 0 {
		return v[0]
	}
	return ""
}

// A meaning says what an answer is worth as a proof.
type meaning int

const (
	definite   meaning = iota // an answer of the application: if it is not the expected one, that proves something
	indefinite                // an error, an overload or half an answer, which any product may give
	guarded                   // it wants credentials first
)

func (a *Answer) meaning() meaning {
	switch {
	case a.Status == 401, a.Status == 403, a.Status == 407, a.isLogin():
		return guarded
	case a.Status == 0, a.Status >= 500 && a.Status != 501, a.Status == 408, a.Status == 425, a.Status == 429, a.Status < 200:
		return indefinite
	case a.Cut && a.isJSONType():
		return indefinite // it can't be read as JSON
	}
	return definite
}

func (a *Answer) isJSONType() bool { return strings.Contains(a.value("Content-Type"), "json") }

// plainToTLS are words of the answers which web servers give to a request without TLS at a
// port with TLS: Go's net/http, nginx, Apache, HAProxy and Envoy's peers.
var plainToTLS = []string{
	"HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port", "plain HTTP to an SSL-enabled server port",
	"plain HTTP to TLS-enabled", "This combination of host and port requires TLS",
}

// wantsTLS reports whether the answer to a request without TLS says that the port needs it.
func (a *Answer) wantsTLS() bool {
	if a.Status != 400 && a.Status != 421 && a.Status != 426 && a.Status != 497 {
		return false
	}
	for _, words := range plainToTLS {
		if bytes.Contains(a.Body, []byte(words)) {
			return true
		}
	}
	return false
}

// loginWords in the path of a redirect say that one must log in.
var loginWords = []string{"login", "log-in", "signin", "sign_in", "sign-in", "oauth", "oidc", "sso", "saml", "auth", "authorize", "openid"}

// isLoginSegment reports whether part of a path, in lower case, says that one must log in.
func isLoginSegment(part string) bool {
	return slices.ContainsFunc(loginWords, func(w string) bool {
		return part == w || strings.HasPrefix(part, w+"2") || strings.HasPrefix(part, w+".")
	})
}

// isLogin reports whether the answer is a page to log in at, or leads to one.
func (a *Answer) isLogin() bool {
	if a.Status >= 300 && a.Status <= 399 {
		to, err := url.Parse(a.value("Location"))
		return err == nil && slices.ContainsFunc(strings.Split(strings.ToLower(to.Path), "/"), isLoginSegment)
	}
	if a.Status != 200 || !strings.Contains(a.value("Content-Type"), "html") {
		return false
	}
	body := bytes.ToLower(a.Body)
	return bytes.Contains(body, []byte(`type="password"`)) || bytes.Contains(body, []byte(`type='password'`)) || bytes.Contains(body, []byte("type=password"))
}

// target returns where the answer redirects to, and whether that is here, on the same host;
// ok is false if it does not redirect. asked is the URL that was asked.
func (a *Answer) target(asked string) (to *url.URL, here, ok bool) {
	if a.Status < 300 || a.Status > 399 || a.Status == 304 {
		return nil, false, false
	}
	from, err := url.Parse(asked)
	if err != nil {
		return nil, false, false
	}
	to, err = from.Parse(a.value("Location"))
	if err != nil {
		return nil, false, false
	}
	return to, to.Hostname() == from.Hostname() && (to.Scheme != from.Scheme || to.Port() == from.Port()), true
}

// elsewhere reports whether the answer redirects to another host.
func (a *Answer) elsewhere(asked string) bool {
	_, here, _ := a.target(asked)
	return a.Status >= 300 && a.Status <= 399 && a.Status != 304 && !here
}

// wantsTenant reports whether the answer says that the request must name a tenant, as
// Cortex, Loki, Mimir, Pyroscope and Tempo do.
func (a *Answer) wantsTenant() bool {
	return a.Status >= 400 && a.Status <= 499 && bytes.Contains(a.Body, []byte("no org id"))
}
