package load

import (
	"bufio"
	"bytes"
	"net"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// A connection is a client's connection. It carries one request at a time.
type connection struct {
	net.Conn
	socket syscall.RawConn // nil if it is not a socket
	wire   *wire
	reader *bufio.Reader // of wire
	opened time.Time
	uses   int    // requests sent
	pod    string // that answered last
	server record.Signature
	// recognised: server is from a response.
	recognised bool
	cut        bool // the last request was not sent completely, so that none can follow
	// release gives the source port back, once the connection is closed; may be nil.
	release func()

	out  []byte // the request; its memory is reused
	body bytes.Buffer
}

func newConnection(conn net.Conn, opened time.Time) *connection {
	w := &wire{conn: conn}
	return &connection{
		Conn: conn, socket: socketOf(conn), wire: w, reader: bufio.NewReader(w), opened: opened,
	}
}

// Close closes the connection, and gives its source port back.
func (c *connection) Close() error {
	err := c.Conn.Close()
	if c.release != nil {
		c.release()
	}
	return err
}

// hasClosed reports whether the peer's close or reset has arrived, without waiting.
func (c *connection) hasClosed() bool {
	t, ok := c.Conn.(*https.Conn)
	if !ok {
		return c.socketClosed()
	}
	c.wire.expect()
	return t.HasClosed(func() error {
		_, err := c.reader.Peek(1)
		return err
	})
}
