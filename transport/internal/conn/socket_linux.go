package conn

import (
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// readNow reads what is in the receive buffer, without waiting. It works even if the read
// deadline has passed. Without an error it returns 0 if nothing is there yet; at the end of
// the stream the error is io.EOF.
func readNow(c net.Conn, p []byte) (n int, err error) {
	raw, ok := rawConn(c)
	if !ok {
		return 0, nil
	}
	controlErr := raw.Control(func(fd uintptr) { n, err = readSocket(fd, p) })
	if n == 0 && err == nil && controlErr == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return max(n, 0), errors.Join(controlErr, ignoreAgain(err))
}

func readSocket(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p) // #nosec G115 -- a file descriptor
		if n >= 0 || !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// canWait reports whether waitReadable works on this system.
const canWait = true

// waitReadable waits until there is something to read, or the read deadline passes. It
// needs no buffer.
func waitReadable(c net.Conn) error {
	raw, ok := rawConn(c)
	if !ok {
		return errors.ErrUnsupported
	}
	return raw.Read(isReadable)
}

// readable reports whether there is something to read. It works even if the read deadline
// has passed.
func readable(c net.Conn) (is bool) {
	raw, ok := rawConn(c)
	return ok && raw.Control(func(fd uintptr) { is = isReadable(fd) }) == nil && is
}

// isReadable reports whether a read would return at once. The end of the stream and
// errors count as something to read.
func isReadable(fd uintptr) bool {
	var b [1]byte
	for {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) // #nosec G115 -- a file descriptor
		if !errors.Is(err, unix.EINTR) {
			return !errors.Is(err, unix.EAGAIN)
		}
	}
}

func ignoreAgain(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

// HungUp reports whether the client has closed its side of a connection, even if there is
// something left to read.
func HungUp(c net.Conn) (is bool) {
	if own, ok := c.(*Conn); ok {
		c = own.Conn
	}
	raw, ok := rawConn(c)
	if !ok {
		return false
	}
	err := raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} // #nosec G115 -- a file descriptor
		n, err := unix.Poll(p, 0)
		is = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return is || err != nil
}

// unsentLimit is how many bytes of responses the kernel accepts for a connection beyond
// the client's receive window. By default it accepts megabytes for each slow client
// (tcp_wmem), which count as memory of the pod (cgroup v2) and of the whole host.
const unsentLimit = 32 << 10

// boundUnsent sets unsentLimit for all connections that l accepts, which inherit it
// (TCP_NOTSENT_LOWAT, tcp(7)).
func boundUnsent(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit) // #nosec G115 -- a file descriptor
	})
	return errors.Join(controlErr, err)
}

// unread returns the number of bytes in the receive buffer.
func unread(c net.Conn) (n int) {
	raw, ok := rawConn(c)
	if !ok {
		return 0
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // a closed connection has nothing unread
		n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) // #nosec G115 -- a file descriptor
	})
	return n
}

func rawConn(c net.Conn) (syscall.RawConn, bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := s.SyscallConn()
	return raw, err == nil
}

// dropNewConnections is a socket filter that drops segments with SYN and without ACK, and
// keeps all others. The flags are byte 13 of the TCP header.
var dropNewConnections = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x12}, // SYN, ACK
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x02, SkipFalse: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 0x40000},
}

// refuseNewConnections makes the kernel ignore new connection attempts on l, while
// handshakes under way are completed (SO_ATTACH_FILTER, socket(7)). A client whose SYN is
// ignored sends it again, and by then is routed elsewhere. After a plain close it would
// get a reset for a connection that was accepted.
func refuseNewConnections(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = attachFilter(int(fd)) }) // #nosec G115 -- a file descriptor
	return errors.Join(controlErr, err)
}

func attachFilter(fd int) error {
	program, err := bpf.Assemble(dropNewConnections)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}) // #nosec G115 -- five instructions
}
