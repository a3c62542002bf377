package auth

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"
	"time"
)

// A key depends on every bit of the token, and on the process.
func TestKey(t *testing.T) {
	one, other := newSecret(), newSecret()
	token := bytes.Repeat([]byte("x"), 1000)
	k := one.key(token)
	if k == other.key(token) {
		t.Error("two processes have the same key for a token")
	}
	if k != one.key(bytes.Clone(token)) {
		t.Error("the same token has another key")
	}
	for _, changed := range [][]byte{token[1:], append(bytes.Clone(token), 0), append(bytes.Clone(token[:999]), 'y'), nil} {
		if k == one.key(changed) {
			t.Errorf("another token, of %d bytes, has the same key", len(changed))
		}
	}
}

func TestRememberedDecisionsDoNotAllocate(t *testing.T) {
	authz := newAuthorizer(t, newAuthority(), nil)
	token := bytes.Repeat([]byte("x"), 1200)
	c := authz.Caller(token)
	authz.Decide(&c, read)
	if n := testing.AllocsPerRun(100, func() {
		c := authz.Caller(token)
		if d := authz.Decide(&c, read); d.Result != Allowed || c.Known() == nil {
			t.Fatal(d)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	authz, err := New(Options{Reviewer: newAuthority(), Actions: actions})
	if err != nil {
		b.Fatal(err)
	}
	defer authz.Close()
	for _, size := range []int{100, 1000, 4000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			token := bytes.Repeat([]byte("x"), size)
			b.ReportAllocs()
			for b.Loop() {
				c := authz.Caller(token)
				authz.Decide(&c, read)
			}
		})
	}
}

// jwt returns a token in the form of a JSON Web Token with these claims.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestExpiry(t *testing.T) {
	at := time.Unix(1800000000, 0)
	for _, c := range []struct {
		token string
		want  time.Time
	}{
		{jwt(`{"exp":1800000000}`), at},
		{jwt(`{"exp":1800000000.5,"sub":"x"}`), at.Add(time.Second / 2)},
		{jwt(`{"exp":0}`), time.Unix(0, 0)},
		{jwt(`{}`), time.Time{}},
		{jwt(`{"exp":"1800000000"}`), time.Time{}},
		{jwt(`{"exp":null}`), time.Time{}},
		{jwt(`{"exp":-1}`), time.Time{}},
		{jwt(`{"exp":1e300}`), time.Time{}},
		{jwt(`[]`), time.Time{}},
		{"", time.Time{}}, {"opaque", time.Time{}}, {"a.b", time.Time{}}, {"a.!.c", time.Time{}},
	} {
		got, ok := expiry(c.token)
		if ok != !c.want.IsZero() || ok && !got.Equal(c.want) {
			t.Errorf("%s: %v %v, want %v", c.token, got, ok, c.want)
		}
	}
}

// FuzzExpiry looks for tokens whose end is read as a time that is not a date.
func FuzzExpiry(f *testing.F) {
	f.Add(`{"exp":1800000000}`, "")
	f.Add(`{"exp":1e18}`, "x.y.z")
	f.Add(`{"exp":-0.1e-9}`, "...")
	f.Fuzz(func(t *testing.T, claims, raw string) {
		for _, token := range []string{jwt(claims), raw} {
			if at, ok := expiry(token); ok && (at.Year() < 1970 || at.Year() > 9999) {
				t.Errorf("%q ends at %v", token, at)
			}
		}
	})
}
