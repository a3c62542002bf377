//go:build unix

package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hasClosed says whether the peer's close or reset has already arrived, without
// waiting. A connection that has no socket, such as a tunnel's, never says so.
//
// Looking at a reset takes it from the socket: the write that follows fails with
// EPIPE instead of ECONNRESET, which counts as the same.
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

// socketOf returns the socket of a connection that is one.
func socketOf(conn any) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
