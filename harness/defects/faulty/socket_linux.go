package main

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// readNow reads what is in the receive buffer, without waiting and whatever the
// deadline. It returns 0 if that is empty, or if the client has closed its side.
func readNow(c net.Conn, p []byte) (n int) {
	raw, ok := rawConn(c)
	if !ok {
		return 0
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // a closed connection has nothing to read
		for {
			var err error
			// Go's sockets don't block.
			n, err = unix.Read(int(fd), p) // #nosec G115 -- a file descriptor
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	return max(n, 0)
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

// dropSYN is a socket filter that drops segments with SYN and without ACK. The flags
// are in byte 13 of the TCP header.
var dropSYN = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x12}, // SYN, ACK
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x02, SkipFalse: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 0x40000},
}

// ignoreNewConnections has the kernel ignore new connections to l while handshakes in
// progress are completed (SO_ATTACH_FILTER, socket(7)). A client sends an ignored SYN
// again after a second.
func ignoreNewConnections(l *net.TCPListener) error {
	program, err := bpf.Assemble(dropSYN)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, // #nosec G115 -- a file descriptor
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}) // #nosec G115 -- five instructions
	})
	return errors.Join(controlErr, err)
}
