package middleware

import (
	"testing"

	"github.com/valyala/fasthttp"
)

// FuzzBearer looks for Authorization fields from which bearer returns something that
// can't be a token.
func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  a.b-c~d+e/f==", "Bearer ", "Basic x", "Bearer a=b", "Bearer a\tb", "Bearer a, Bearer b"} {
		f.Add(s, "")
	}
	f.Add("Bearer a", "Bearer b")
	f.Fuzz(func(t *testing.T, one, other string) {
		var h fasthttp.RequestHeader
		h.Add("Authorization", one)
		if other != "" {
			h.Add("authorization", other)
		}
		token, sent := bearer(&h)
		if sent != bearerToken {
			if token != nil {
				t.Errorf("%q is a token, but also %d", token, sent)
			}
			return
		}
		if other != "" {
			t.Errorf("a token of several fields: %q", token)
		}
		if !isToken(token) {
			return
		}
		padding := false
		for i, c := range token {
			switch {
			case c == '=':
				padding = true
			case padding, !tokenByte[c]:
				t.Errorf("byte %d of the token %q", i, token)
			}
		}
		if len(token) == 0 || token[0] == '=' {
			t.Errorf("the token %q", token)
		}
	})
}
