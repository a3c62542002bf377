// Package nameserver is a DNS server for tests.
package nameserver

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A Server is a DNS server at a UDP port of loopback, until its test ends.
type Server struct {
	Address string // host:port
}

// Start starts a Server. It answers A queries with the result of answer, which is called in
// its goroutine with names that end in a dot; nil means that the name does not exist. There
// are no records of other types.
func Start(t testing.TB, answer func(name string) []netip.Addr) *Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		serve(conn, answer)
	}()
	t.Cleanup(func() {
		conn.Close() //nolint:errcheck // it ends the goroutine
		<-ended
	})
	return &Server{Address: conn.LocalAddr().String()}
}

func serve(conn net.PacketConn, answer func(name string) []netip.Addr) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Authoritative, m.Additionals = true, true, nil
		// Only an A query may use up an answer, so others are not asked for whether the name
		// exists.
		if q.Type == dnsmessage.TypeA {
			addrs := answer(q.Name.String())
			if addrs == nil {
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addrs {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: a.As4()},
				})
			}
		}
		if out, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(out, from)
		}
	}
}

// Resolver returns a resolver that asks the Server.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.Address)
	}}
}
