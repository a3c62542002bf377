package middleware

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// What a request has for credentials.
type credentials int

const (
	noCredentials     credentials = iota // none, or of a scheme that is not taken here
	bearerToken                          // a bearer token, of whatever form
	malformedToken                       // the same, and what follows the scheme can't be a token
	severalAuthFields                    // more than one Authorization field
)

var schemeBearer = []byte("bearer")

// bearer returns the token of a request (RFC 6750, section 2.1; the other ways
// of that RFC, in the body or the query, are not taken: they end up in logs).
//
// Several Authorization fields are no credentials at all: a proxy in front might
// have looked at another one than we do.
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

// isToken reports whether b has the form of a token, b64token (RFC 6750, section
// 2.1). What has not is not worth a question to the API server.
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
