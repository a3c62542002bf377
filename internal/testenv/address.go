package testenv

import (
	"net"
	"testing"
)

// FreeAddress returns an address of this machine with a free port, for a program that
// must be told before it runs where to listen. Another program may take the port
// meanwhile; use port 0 where that is possible.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it only held the port
	return l.Addr().String()
}
