package https

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A gate lets only so many bytes of what is written through, and keeps the rest.
type gate struct {
	net.Conn
	shut atomic.Bool
	kept []byte
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.shut.Load() {
		return g.Conn.Write(p)
	}
	const through = 3 // of a record's header, which has 5
	g.kept = append(g.kept, p[through:]...)
	_, err := g.Conn.Write(p[:through])
	return len(p), err
}

// A part of a record is no end of the connection, though there is something to read; nor
// is data. The server's end is one.
func TestHasClosed(t *testing.T) {
	like := httptest.NewTLSServer(http.NotFoundHandler())
	defer like.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan *gate, 1)
	servers := make(chan *tls.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		g := &gate{Conn: c}
		s := tls.Server(g, &tls.Config{Certificates: like.TLS.Certificates, SessionTicketsDisabled: true}) // #nosec G402 -- of a test
		if s.Handshake() == nil {
			accepted <- g
			servers <- s
		}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c, err := Client(t.Context(), raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) // #nosec G402 -- of a test
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(c)
	look := func() error {
		_, err := reader.Peek(1)
		return err
	}
	if c.HasClosed(look) {
		t.Error("nothing has arrived, and it is taken for the end")
	}
	g, server := <-accepted, <-servers
	g.shut.Store(true)
	if _, err := server.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !c.socket.readable() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if c.HasClosed(look) {
		t.Error("a part of a record is taken for the end")
	}
	g.shut.Store(false)
	if _, err := g.Conn.Write(g.kept); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 5)
	if _, err := reader.Read(text); err != nil || string(text) != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !c.HasClosed(look); {
		if time.Now().After(end) {
			t.Fatal("the end was not seen")
		}
		time.Sleep(time.Millisecond)
	}
}
