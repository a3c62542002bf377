//go:build unix

package https

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A poller reads from a socket without waiting.
type poller struct {
	raw syscall.RawConn // nil if the connection is not a socket
}

func newPoller(conn net.Conn) poller {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return poller{raw}
		}
	}
	return poller{}
}

// readable reports whether data, the end or a reset has arrived. It takes nothing.
func (p poller) readable() (there bool) {
	if p.raw == nil {
		return false
	}
	err := p.raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // #nosec G115 -- a file descriptor
		n, err := unix.Poll(fds, 0)
		there = err == nil && n > 0
	})
	return err == nil && there
}

// readNow reads what has arrived; errNothing if that is nothing.
func (p poller) readNow(b []byte) (n int, err error) {
	if p.raw == nil {
		return 0, errNothing
	}
	if ctlErr := p.raw.Control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT) }); ctlErr != nil {
		return 0, ctlErr
	}
	switch {
	case err == unix.EAGAIN, err == unix.EINTR:
		return 0, errNothing
	case err != nil:
		return 0, err
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}
