package auth

import (
	"crypto/subtle"
	"encoding/binary"
	"time"
)

// A Recent is the token that a connection has sent last, with its key: clients
// send the same one with each request, and to compare 1 KB takes a tenth of the
// time that it takes to hash it. It is to live no longer than the connection, and
// to Forget when that is silent. The zero value remembers nothing.
type Recent struct {
	token []byte
	key   key
}

// recentMax is how long a token may be to be remembered, in bytes.
const recentMax = 4 << 10

// Again looks up a token like Caller. Of one that is that of r it spares the hash.
// The time is that of the request, which the server knows already.
func (a *Authorizer) Again(token []byte, r *Recent, now time.Time) Caller {
	if len(r.token) == 0 || !equal(r.token, token) {
		k := a.secret.key(token)
		r.Forget()
		if len(token) > recentMax {
			return a.caller(token, k, a.at(now))
		}
		r.token, r.key = append(r.token, token...), k
	}
	return a.caller(token, r.key, a.at(now))
}

// Forget makes r remember nothing.
func (r *Recent) Forget() {
	clear(r.token)
	r.token, r.key = r.token[:0], key{}
}

// equal reports whether a and b are the same, in a time that depends on their
// lengths only: behind a proxy a connection may be that of several clients, of
// which none shall learn anything of another's token. subtle.ConstantTimeCompare
// compares single bytes and takes about as long as the hash that is to be spared
// (BenchmarkEqual), so that it only does what is left.
func equal(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	var differ uint64
	for len(a) >= 32 && len(b) >= 32 {
		differ |= binary.NativeEndian.Uint64(a) ^ binary.NativeEndian.Uint64(b)
		differ |= binary.NativeEndian.Uint64(a[8:]) ^ binary.NativeEndian.Uint64(b[8:])
		differ |= binary.NativeEndian.Uint64(a[16:]) ^ binary.NativeEndian.Uint64(b[16:])
		differ |= binary.NativeEndian.Uint64(a[24:]) ^ binary.NativeEndian.Uint64(b[24:])
		a, b = a[32:], b[32:]
	}
	return subtle.ConstantTimeCompare(a, b) == 1 && differ == 0
}
