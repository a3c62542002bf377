package conn

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// A holdingConn holds back what is written to it, so that a test decides which bytes of
// which records arrive together.
type holdingConn struct {
	net.Conn
	holding bool
	held    []byte
	split   func() // called once, between the first bytes and the rest
}

func (c *holdingConn) Write(p []byte) (int, error) {
	if split := c.split; split != nil {
		c.split = nil
		if n, err := c.Conn.Write(p[:10]); err != nil {
			return n, err
		}
		split()
		n, err := c.Conn.Write(p[10:])
		return 10 + n, err
	}
	if !c.holding {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// send sends the first n bytes of what is held back; all of it if n is negative.
func (c *holdingConn) send(t *testing.T, n int) {
	t.Helper()
	if n < 0 {
		n = len(c.held)
	}
	// At the end of a session the deadline has passed already.
	if err := c.SetWriteDeadline(noDeadline); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Conn.Write(c.held[:n]); err != nil {
		t.Fatal(err)
	}
	c.held = c.held[n:]
}

// serverTLS returns the TLS configuration of a server.
func serverTLS(tb testing.TB, authority *certtest.Authority) *TLS {
	tb.Helper()
	issued := authority.Issue(tb, nil)
	certificate, err := tls.X509KeyPair(issued.Cert, issued.Key)
	if err != nil {
		tb.Fatal(err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1", "http/1.0"}, Certificates: []tls.Certificate{certificate}}
	return &TLS{Config: func() *tls.Config { return config }, Failed: func(net.Addr, error) {}}
}

// parsed returns the head of a request as fasthttp reads it.
func parsed(t *testing.T, head string) Head {
	t.Helper()
	h := &fasthttp.RequestHeader{}
	if err := h.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		t.Fatal(err)
	}
	return h
}

// tlsPair returns a Conn on a port with TLS, its client, and the client's socket. There
// has been no handshake yet.
func tlsPair(t *testing.T, version uint16) (*Conn, *tls.Conn, *holdingConn) {
	t.Helper()
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	settings := serverTLS(t, authority)
	c, socket := pair(t)
	c.tls.layer = &tlsLayer{settings: settings}
	if err := c.SetReadDeadline(time.Now().Add(testenv.Patience)); err != nil {
		t.Fatal(err)
	}
	holder := &holdingConn{Conn: socket}
	client := tls.Client(holder, &tls.Config{RootCAs: authority.Pool, ServerName: "localhost", MaxVersion: version})
	return c, client, holder
}

// established is tlsPair after the handshake and an exchange in each direction, so that
// nothing of the handshake, such as a session ticket, is still on its way.
func established(t *testing.T, version uint16) (*Conn, *tls.Conn, *holdingConn) {
	t.Helper()
	c, client, holder := tlsPair(t, version)
	go client.Write([]byte("first")) //nolint:errcheck // the read tells
	wantRead(t, c, make([]byte, 100), "first")
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	var buf [100]byte
	if n, err := client.Read(buf[:]); err != nil || string(buf[:n]) != "answer" {
		t.Fatalf("the client read %q, %v", buf[:n], err)
	}
	c.in.ahead = ahead{between: true}
	return c, client, holder
}

func wantRead(t *testing.T, c *Conn, buf []byte, want string) {
	t.Helper()
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
		t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
	}
}

// arrived waits until n bytes are in the server's socket.
func arrived(t *testing.T, c *Conn, n int) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); unread(c.Conn) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d bytes arrived", unread(c.Conn), n)
		}
	}
}

func eachVersion(t *testing.T, test func(*testing.T, uint16)) {
	t.Run("1.2", func(t *testing.T) { test(t, tls.VersionTLS12) })
	t.Run("1.3", func(t *testing.T) { test(t, tls.VersionTLS13) })
}
