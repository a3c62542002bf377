package auth

import (
	"crypto/rand"
	"crypto/sha256"
)

// A key stands for a token in the memory of an Authorizer.
//
// It is SHA-256 over a secret of this process and the SHA-256 of the token.
// That two tokens have the same key, whoever makes them up, would need a
// collision of SHA-256: that is why a key that matches is as good as a token
// that matches. The secret makes keys worthless outside of the process, and
// keeps outsiders from telling which tokens share a place in a table.
//
// A keyed universal hash (GHASH, Poly1305) would be three times faster, and as
// safe as long as its secret is. SHA-256 leaves nothing to depend on that, and
// costs about 1 microsecond for a token of 1 KB: once for each connection, see
// Recent.
type key [sha256.Size]byte

type secret [16]byte

func newSecret() (s secret) {
	rand.Read(s[:]) //nolint:errcheck // it never fails (crypto/rand)
	return s
}

func (s *secret) key(token []byte) key {
	digest := sha256.Sum256(token)
	var both [len(s) + len(digest)]byte // one block of SHA-256
	copy(both[:], s[:])
	copy(both[len(s):], digest[:])
	return sha256.Sum256(both[:])
}
