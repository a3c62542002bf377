package testenv

import (
	"net"
	"testing"
)

// FreeAddress is an address of this machine on whose port nobody listens, for a
// program that must be told where to listen before it runs. Another program may
// take the port meanwhile; where port 0 can be given, give that.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it only held the port
	return l.Addr().String()
}
