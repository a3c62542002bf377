package auth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"strings"
	"testing"
	"time"
)

func TestEqual(t *testing.T) {
	for n := range 100 {
		a := bytes.Repeat([]byte{'x'}, n)
		if !equal(a, bytes.Clone(a)) || equal(a, append(bytes.Clone(a), 'x')) || equal(append(bytes.Clone(a), 'x'), a) {
			t.Errorf("of length %d: wrong", n)
		}
		for i := range n {
			b := bytes.Clone(a)
			b[i] ^= 0x80
			if equal(a, b) {
				t.Errorf("of length %d: %d differs", n, i)
			}
		}
	}
}

type nobody struct{}

func (nobody) Authenticate(context.Context, string) (*Identity, error)    { return nil, nil }
func (nobody) Authorize(context.Context, *Identity, Action) (bool, error) { return false, nil }

// A token that a connection has sent before is never taken for the one it sends now.
func TestRecent(t *testing.T) {
	authz, err := New(Options{Reviewer: nobody{}, Actions: []Action{{Verb: "get", Path: "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer authz.Close()
	var r Recent
	long := strings.Repeat("a", 1000)
	for _, token := range []string{long, long, long[:999] + "b", long, "", "short", "short", "shorT", strings.Repeat("c", recentMax+1), long[:999], "", long} {
		if c := authz.Again([]byte(token), &r, time.Now()); c.key != authz.Caller([]byte(token)).key || string(c.token) != token {
			t.Errorf("%.20q: not its own key", token)
		}
	}
	kept := r.token[:1000]
	r.Forget()
	if len(bytes.Trim(kept, "\x00")) > 0 {
		t.Errorf("%q is still there", kept)
	}
	if c := authz.Again(nil, &r, time.Now()); c.key != authz.Caller(nil).key {
		t.Error("no token: not its own key")
	}
}

func BenchmarkCaller(b *testing.B) {
	authz, err := New(Options{Reviewer: nobody{}, Actions: []Action{{Verb: "get", Path: "/"}}})
	if err != nil {
		b.Fatal(err)
	}
	defer authz.Close()
	token := bytes.Repeat([]byte("x"), 1000)
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			authz.Caller(token)
		}
	})
	b.Run("recent", func(b *testing.B) {
		var r Recent
		for b.Loop() {
			authz.Again(token, &r, time.Now())
		}
	})
}

// BenchmarkEqual compares a token the size of a ServiceAccount's with equal and with the
// standard library, which is to be used as soon as it is as fast.
func BenchmarkEqual(b *testing.B) {
	x, y := bytes.Repeat([]byte("x"), 1000), bytes.Repeat([]byte("x"), 1000)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			equal(x, y)
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			subtle.ConstantTimeCompare(x, y)
		}
	})
}
