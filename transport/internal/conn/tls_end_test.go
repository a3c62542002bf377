package conn

import (
	"errors"
	"io"
	"net"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A client over TLS that is gone without an alert, or has reset its connection, is not one
// that is silent. In the idle set there is something to read from it at once, so it would
// go there and back for as long as there are many connections.
func TestTLSGoneIsNotSilent(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn) error{
		"end":   func(c *net.TCPConn) error { return c.Close() },
		"reset": func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				c, _, holder := established(t, version)
				c.idle.canEnter = true
				c.owner.crowded.Store(true)
				defer c.owner.crowded.Store(false)
				c.End()
				if !c.nothingHere() {
					t.Fatal("the client has sent nothing, and may go into the idle set")
				}
				if err := leave(holder.Conn.(*net.TCPConn)); err != nil {
					t.Fatal(err)
				}
				// In the idle set that is noticed by a look that takes a reset's error away.
				testenv.Eventually(t, testenv.Patience, "the client is gone", func() bool { return readable(c.Conn) })
				if c.nothingHere() {
					t.Fatal("a client that is gone may go into the idle set")
				}
				if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, io.EOF) || c.idle.entering {
					t.Errorf("%d bytes, %v, into the idle set: %v", n, err, c.idle.entering)
				}
			})
		})
	}
}
