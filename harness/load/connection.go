package load

import (
	"bufio"
	"bytes"
	"net"
	"syscall"
	"time"
)

// connection is a client's connection. One request at a time is on it.
type connection struct {
	net.Conn
	socket syscall.RawConn // nil: none
	wire   *wire
	reader *bufio.Reader // of wire
	opened time.Time
	uses   int    // requests sent before
	pod    string // that answered last
	cut    bool   // the request was not sent in full: nothing can follow it

	out  []byte // the request, reused
	body bytes.Buffer
}

func newConnection(conn net.Conn, opened time.Time) *connection {
	w := &wire{conn: conn}
	return &connection{
		Conn: conn, socket: socketOf(conn), wire: w, reader: bufio.NewReader(w), opened: opened,
	}
}
