package conn

import (
	"bytes"
	"net"
	"net/netip"
	"time"
)

// An Answer answers the first of the requests that b begins with, if it can do so at once
// and b has all of it. It appends the response to to, and returns how many bytes the request
// has, and to. end reports that the response announces the end of the connection. It
// returns 0, and to as it was, if the server must answer.
//
// It must answer as the server would, byte for byte, and call AnsweredAhead instead of Begin,
// Answered and End. It is called by several goroutines, but not for the same connection, and
// must not keep b.
type Answer func(c *Conn, b, to []byte) (used int, response []byte, end bool)

// AnsweredAhead must be called by an Answer when a response is made. rest is what has been
// read behind the request, end says that the caller wants the connection to end. The results
// are those of Answered.
func (c *Conn) AnsweredAhead(rest []byte, end bool) (took time.Duration, last bool) {
	t := now()
	took, c.in.moved = t.sub(c.in.moved), t
	if end || c.ending.expires != 0 && t > c.ending.expires {
		last = c.owner.hurry.Load() || len(bytes.Trim(rest, "\r\n")) == 0 && unreadSocket(c.socket.fd) == 0
		c.ending.linger = c.ending.linger || last
	}
	return took, last
}

// Client returns the client's address; the zero Addr if the connection is not from a socket of
// the Internet. It allocates nothing.
func (c *Conn) Client() netip.Addr {
	if c.client.IsValid() {
		return c.client.Addr()
	}
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr, _ := netip.AddrFromSlice(tcp.IP)
		return addr
	}
	return netip.Addr{}
}

// RemoteAddr returns the address of the client.
func (c *Conn) RemoteAddr() net.Addr {
	if c.Conn == nil {
		return c.peer()
	}
	return c.Conn.RemoteAddr()
}
