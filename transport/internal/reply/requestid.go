package reply

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/valyala/fasthttp"
)

var (
	headerRequestID  = []byte("X-Request-Id")
	headerRetryAfter = []byte("Retry-After")
)

// MaxRequestID is the length of the longest identifier that is accepted from a client.
const MaxRequestID = 128

// SetRequestID gives the response the client's request identifier if that is 1 to 128
// visible ASCII characters, and otherwise a new one of 128 random bits.
func SetRequestID(ctx *fasthttp.RequestCtx) {
	id := ctx.Request.Header.PeekCanonical(headerRequestID)
	if validRequestID(id) {
		ctx.Response.Header.SetCanonical(headerRequestID, id)
		return
	}
	text := newRequestID()
	ctx.Response.Header.SetCanonical(headerRequestID, text[:])
}

// AppendRequestID appends what SetRequestID gives to the response to a request with this
// identifier; nil for none.
func AppendRequestID(to, id []byte) []byte {
	if validRequestID(id) {
		return append(to, id...)
	}
	text := newRequestID()
	return append(to, text[:]...)
}

func newRequestID() (text [32]byte) {
	putHex(text[:16], rand.Uint64()) // #nosec G404 -- an identifier, not a secret
	putHex(text[16:], rand.Uint64()) // #nosec G404
	return text
}

// RequestID returns the identifier of a request, from its response.
func RequestID(ctx *fasthttp.RequestCtx) string {
	return string(ctx.Response.Header.PeekBytes(headerRequestID))
}

// putHex writes n as 16 hexadecimal digits. It is four times as fast as encoding/hex.
func putHex(dst []byte, n uint64) {
	for i := range 8 {
		binary.NativeEndian.PutUint16(dst[2*i:], hexPairs[uint8(n)]) // #nosec G115 -- the lowest byte
		n >>= 8
	}
}

// hexPairs has the two digits of each byte, in memory order.
var hexPairs = func() (pairs [256]uint16) {
	for i := range pairs {
		pairs[i] = binary.NativeEndian.Uint16(hex.AppendEncode(nil, []byte{byte(i)}))
	}
	return pairs
}()

func validRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > MaxRequestID {
		return false
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
