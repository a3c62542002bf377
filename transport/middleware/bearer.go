package middleware

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// credentials says what a request has in its Authorization field.
type credentials int

const (
	noCredentials     credentials = iota // none, or of a scheme that is not accepted
	bearerToken                          // a bearer token, of any form
	malformedToken                       // the scheme of a bearer token, and something that can't be a token
	severalAuthFields                    // more than one Authorization field
)

var schemeBearer = []byte("bearer")

// bearer returns the token of a request (RFC 6750, section 2.1). The other ways of that
// RFC, in the body or in the query, are not accepted, since such tokens end up in logs.
//
// Several Authorization fields count as no credentials: a proxy in front may have checked
// another one of them.
func bearer(h *fasthttp.RequestHeader) ([]byte, credentials) {
	fields := h.PeekAll(fasthttp.HeaderAuthorization)
	switch len(fields) {
	case 0:
		return nil, noCredentials
	case 1:
	default:
		return nil, severalAuthFields
	}
	scheme, token, _ := bytes.Cut(fields[0], []byte{' '})
	if !bytes.EqualFold(scheme, schemeBearer) {
		return nil, noCredentials
	}
	return bytes.Trim(token, " "), bearerToken
}

// isToken reports whether b has the form of a token, b64token (RFC 6750, section 2.1).
// Anything else is not worth asking the API server about.
func isToken(b []byte) bool {
	text := bytes.TrimRight(b, "=")
	if len(text) == 0 {
		return false
	}
	for _, c := range text {
		if !tokenByte[c] {
			return false
		}
	}
	return true
}

var tokenByte = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		is[c] = true
	}
	return is
}()
