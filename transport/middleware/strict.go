package middleware

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// fasthttp accepts what RFC 9112 allows a recipient to accept, and a little more. If a
// parser in front, such as a proxy's, does not accept the same, the two see different
// requests: request smuggling (RFC 9112, section 11.2). So this server refuses everything
// that could be read in two ways.

var (
	fieldTransferEncoding = []byte("transfer-encoding")
	fieldContentLength    = []byte("content-length")
	fieldHost             = []byte("host")
	codingChunked         = []byte("chunked")
	schemeHTTP            = []byte("http")
	schemeHTTPS           = []byte("https")
)

// malformed returns what is wrong with the header fields of a request that fasthttp has
// accepted, or "", and how the end of its body is known. It allocates nothing.
func malformed(h *fasthttp.RequestHeader) (wrong string, how framing) {
	block := h.RawHeaders()
	if len(block) == 0 { // HTTP/1.0 without fields, and requests made by tests
		return "", unframed
	}
	return malformedFields(h, block)
}

const lineFeedAlone = "Each line of the head must end in CR LF, not in LF alone." // section 2.2

const trailersRefused = "Trailer fields are not accepted."

// framing is how the end of a request's body is known (RFC 9112, section 6).
type framing uint8

const (
	unframed  framing = 0 // there is no body
	byLength  framing = 1 << 0
	byChunks  framing = 1 << 1
	ambiguous         = byLength | byChunks
)

// malformedFields checks the lines of a block, which ends with an empty line.
func malformedFields(h *fasthttp.RequestHeader, block []byte) (wrong string, how framing) {
	for len(block) > 2 {
		end := bytes.IndexByte(block, '\n')
		if end < 1 || block[end-1] != '\r' {
			return lineFeedAlone, how
		}
		line := block[:end-1]
		block = block[end+1:]
		name := 0
		for ; name < len(line) && line[name] != ':'; name++ {
			if line[name] <= ' ' {
				if name == 0 {
					return "A header field must not be folded over several lines.", how // section 5.2
				}
				return "A header field's name must not contain blanks.", how // section 5.1
			}
		}
		if name == len(line) { // does not happen in a block that fasthttp has accepted
			return "A header field has no colon.", how
		}
		value := line[name+1:]
		switch name {
		case len(fieldTransferEncoding):
			if bytes.EqualFold(line[:name], fieldTransferEncoding) {
				how |= byChunks
				// fasthttp accepts "identity", which is no longer a transfer coding.
				if !bytes.EqualFold(bytes.Trim(value, " \t"), codingChunked) {
					return "The Transfer-Encoding must be chunked.", how // section 6.1
				}
			}
		case len(fieldContentLength):
			if bytes.EqualFold(line[:name], fieldContentLength) {
				how |= byLength
			}
		case len(fieldHost):
			if bytes.EqualFold(line[:name], fieldHost) && !validHost(bytes.Trim(value, " \t")) {
				return "The Host must be a host name or an address, and a port if need be.", how // section 3.2
			}
		}
	}
	switch {
	case string(block) != "\r\n":
		return lineFeedAlone, how
	case how == ambiguous:
		return "The body must have a Content-Length or a Transfer-Encoding, not both.", how // section 6.3
	case how == byChunks && len(h.PeekTrailerKeys()) > 0:
		// fasthttp would treat them as fields of the head (RFC 9110, section 6.5.1).
		return trailersRefused, how
	}
	return "", how
}

// spoken reports whether this server speaks the request's version of HTTP.
func spoken(h *fasthttp.RequestHeader) bool {
	return h.IsHTTP11() || string(h.Protocol()) == "HTTP/1.0"
}

// malformedTarget returns what is wrong with the target of a request (RFC 9112, section
// 3.2), which fasthttp has parsed into u. The path that is routed must be the path that
// was sent. But fasthttp cuts off a fragment, which a target can't have, and takes what
// follows two slashes for a host if "://" is found behind it, or if there is no Host.
func malformedTarget(h *fasthttp.RequestHeader, u *fasthttp.URI) string {
	target := h.RequestURI()
	if target[0] != '/' {
		return malformedOtherTarget(h, target)
	}
	// u's path is the beginning of the target, or shorter, so comparing lengths is
	// enough.
	path, query := len(u.PathOriginal()), len(u.QueryString())
	if rest := len(target) - path; rest == 0 || rest == 1+query && target[path] == '?' {
		return ""
	}
	if bytes.IndexByte(target, '#') >= 0 {
		return fragment
	}
	return "The path of the request target can be taken for a host."
}

const fragment = "The request target must not have a fragment."

// malformedOtherTarget checks a target that is not a path: it must name a host over HTTP,
// or be that of CONNECT or "OPTIONS *".
func malformedOtherTarget(h *fasthttp.RequestHeader, target []byte) string {
	switch {
	case h.IsConnect():
		if host, port, ok := bytes.Cut(target, []byte(":")); len(target) > 0 && target[0] != '[' && (!ok || len(host) == 0 || len(port) == 0) || !validHost(target) {
			return "The target of CONNECT must be a host and a port." // section 3.2.3
		}
		return ""
	case len(target) == 1 && target[0] == '*':
		return ""
	}
	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || !bytes.EqualFold(scheme, schemeHTTP) && !bytes.EqualFold(scheme, schemeHTTPS) {
		return "The request target must be a path or an http URI."
	}
	if bytes.IndexByte(target, '#') >= 0 {
		return fragment
	}
	authority := rest
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if len(authority) == 0 || authority[0] == ':' {
		return "The request target names no host." // RFC 9110, section 4.2.1
	}
	if bytes.IndexByte(authority, '@') >= 0 {
		return "The request target must not have user information." // RFC 9110, section 4.2.4
	}
	if !validHost(authority) {
		return "The host of the request target must be a host name or an address, and a port if need be."
	}
	return ""
}

// validHost reports whether a Host field has only characters of an authority (RFC 3986,
// section 3.2.2). fasthttp has checked its port and its brackets.
func validHost(host []byte) bool {
	for _, c := range host {
		if !inHost[c] {
			return false
		}
	}
	return true
}

var inHost = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=%:[]") {
		t[c] = true
	}
	return t
}()
