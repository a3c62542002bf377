//go:build unix

package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// socketClosed reports whether the peer's close or reset has arrived, without waiting. It
// is false for a connection that is not a socket, such as a tunnel.
//
// If there is a reset, this takes it from the socket: the next write fails with EPIPE
// instead of ECONNRESET, and both have the same outcome.
func (c *connection) socketClosed() bool {
	_, n, err := c.peek()
	return n == 0 && err == nil || isReset(err)
}

// saidUnasked reports whether a response has arrived for which nobody asked, without
// waiting. Some servers send one before they close.
func (c *connection) saidUnasked() bool {
	first, n, _ := c.peek()
	return n == 1 && first == 'H' // of HTTP/1.1; with TLS nobody can tell here
}

// peek looks for a byte that has arrived, without waiting. The error is EAGAIN if there is
// neither a byte nor an end, and if the connection is not a socket.
func (c *connection) peek() (first byte, n int, err error) {
	if c.socket == nil {
		return 0, 0, unix.EAGAIN
	}
	var b [1]byte
	if failed := c.socket.Control(func(fd uintptr) {
		n, _, err = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}); failed != nil {
		return 0, 0, unix.EAGAIN
	}
	return b[0], n, err
}

// socketOf returns the socket of conn; nil if it has none.
func socketOf(conn any) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
