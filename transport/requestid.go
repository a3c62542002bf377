package transport

import (
	"encoding/hex"
	"math/rand/v2"

	"encoding/binary"

	"github.com/valyala/fasthttp"
)

var (
	headerRequestID  = []byte("X-Request-Id")
	headerRetryAfter = []byte("Retry-After")
	headerServedBy   = []byte("X-Served-By")
)

const maxRequestID = 128

// setRequestID gives the response the client's request identifier, if it is 1
// to 128 visible ASCII characters, else a new one of 128 random bits.
func setRequestID(ctx *fasthttp.RequestCtx) {
	id := ctx.Request.Header.PeekBytes(headerRequestID)
	if validRequestID(id) {
		ctx.Response.Header.SetBytesKV(headerRequestID, id)
		return
	}
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], rand.Uint64()) // #nosec G404 -- an identifier, not a secret
	binary.NativeEndian.PutUint64(raw[8:], rand.Uint64()) // #nosec G404
	var text [32]byte
	hex.Encode(text[:], raw[:])
	ctx.Response.Header.SetBytesKV(headerRequestID, text[:])
}

func validRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
