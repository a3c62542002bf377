//go:build unix

package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hasClosed reports whether the peer's close or reset has arrived, without waiting. It
// is false for a connection that is not a socket, such as a tunnel.
//
// If there is a reset, this takes it from the socket: the next write fails with EPIPE
// instead of ECONNRESET, and both have the same outcome.
func (c *connection) hasClosed() bool {
	if c.socket == nil {
		return false
	}
	closed := false
	err := c.socket.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		closed = n == 0 && err == nil || isReset(err)
	})
	return err == nil && closed
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
