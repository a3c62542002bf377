package transport

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// fasthttp forgives what RFC 9112 lets a recipient forgive, and a little more.
// Where another parser stands before us, as a proxy does, what one of them
// forgives and the other does not is a request that the two see differently:
// request smuggling (RFC 9112, section 11.2). So this server forgives nothing
// that could be read in two ways.

var (
	fieldTransferEncoding = []byte("transfer-encoding")
	fieldContentLength    = []byte("content-length")
	fieldHost             = []byte("host")
	codingChunked         = []byte("chunked")
	schemeHTTP            = []byte("http")
	schemeHTTPS           = []byte("https")
)

// malformed says what is wrong with the head of a request that fasthttp has
// accepted, "" if nothing is, and how the end of its body is known. It allocates
// nothing.
func malformed(h *fasthttp.RequestHeader) (wrong string, how framing) {
	if !h.IsHTTP11() && !bytes.HasPrefix(h.Protocol(), []byte("HTTP/1.")) {
		return "The version of HTTP must be 1.1 or 1.0.", unframed // RFC 9110, section 2.5
	}
	if target := h.RequestURI(); target[0] != '/' {
		if wrong := malformedTarget(h, target); wrong != "" {
			return wrong, unframed
		}
	}
	block := h.RawHeaders()
	if len(block) == 0 { // HTTP/1.0 without a field, and requests that tests make
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

// malformedFields looks at the lines of a block, which end with an empty one.
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
		if name == len(line) { // never, in a block that was accepted
			return "A header field has no colon.", how
		}
		value := line[name+1:]
		switch name {
		case len(fieldTransferEncoding):
			if bytes.EqualFold(line[:name], fieldTransferEncoding) {
				how |= byChunks
				// identity is one that fasthttp takes, and that is none any more.
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
		// fasthttp would take them for fields of the head (RFC 9110, section 6.5.1).
		return trailersRefused, how
	}
	return "", how
}

// malformedTarget judges a target that is no path (RFC 9112, section 3.2): it
// must name a host over HTTP, or be that of CONNECT or "OPTIONS *".
func malformedTarget(h *fasthttp.RequestHeader, target []byte) string {
	if h.IsConnect() || len(target) == 1 && target[0] == '*' {
		return ""
	}
	scheme, rest, _ := bytes.Cut(target, []byte("://"))
	if !bytes.EqualFold(scheme, schemeHTTP) && !bytes.EqualFold(scheme, schemeHTTPS) {
		return "The request target must be a path or an http URI."
	}
	if authority := bytes.IndexAny(rest, "/?#"); len(rest) == 0 || authority == 0 {
		return "The request target names no host." // RFC 9110, section 4.2.1
	}
	return ""
}

// validHost reports whether a Host field holds what an authority may be made of
// (RFC 3986, section 3.2.2); fasthttp has looked at its port and its brackets.
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

// refuseMalformed answers a request that is not well-formed, and ends the connection:
// nothing that follows on it can be trusted to be a request.
func (f *frontend) refuseMalformed(ctx *fasthttp.RequestCtx, why string) {
	f.wrap(f.metrics.route("unmatched"), func(ctx *fasthttp.RequestCtx) {
		f.problem(ctx, problem.Validation, why+" The connection ends here.")
	})(ctx)
	f.endConnection(ctx)
}

// endConnection makes the response the last of its connection, whatever the
// client has sent behind the request.
func (f *frontend) endConnection(ctx *fasthttp.RequestCtx) {
	ctx.Response.SetConnectionClose()
	if c, _ := ctx.Conn().(*conn); c != nil {
		c.linger = true
	}
}
