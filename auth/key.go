package auth

import (
	"crypto/rand"
	"crypto/sha256"
)

// A key stands for a token in the memory of an Authorizer.
//
// It is the SHA-256 of a secret of this process and the SHA-256 of the token. Two tokens
// with the same key would be a collision of SHA-256, so a key that matches is as good as
// a token that matches. The secret makes keys worthless outside this process, and keeps
// outsiders from finding out which tokens share a set in the table.
//
// A keyed universal hash (GHASH, Poly1305) would be three times as fast, and safe as long
// as its secret is. SHA-256 does not depend on that, and takes about 1 µs for a token of
// 1 KB, once per connection; see Recent.
type key [sha256.Size]byte

type secret [16]byte

func newSecret() (s secret) {
	rand.Read(s[:]) // never fails
	return s
}

func (s *secret) key(token []byte) key {
	digest := sha256.Sum256(token)
	var both [len(s) + len(digest)]byte // one block of SHA-256
	copy(both[:], s[:])
	copy(both[len(s):], digest[:])
	return sha256.Sum256(both[:])
}
