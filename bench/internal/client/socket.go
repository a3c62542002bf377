package client

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls that never block are made with RawSyscall, which does not tell the Go
// scheduler. That saves half the time of a short call.

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

// send writes to a socket. It does not raise SIGPIPE.
func send(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// look fills events with the sockets that can be read or written and returns their number.
// It does not wait.
func look(ep int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// wait is like look, but waits for an event for up to d, which is exact to the nanosecond
// (epoll_pwait2(2), since Linux 5.11).
func wait(ep int, events []unix.EpollEvent, d time.Duration) (int, unix.Errno) {
	ts := unix.NsecToTimespec(max(0, d.Nanoseconds()))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), errno
}

// watch adds a socket to epoll or changes its events. epoll reports it as number.
func watch(ep, op, fd, number int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(number)} // #nosec G115 -- maxConnections
	if _, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); errno != 0 {
		return fmt.Errorf("epoll_ctl: %w", errno)
	}
	return nil
}

// connect opens a non-blocking socket and begins to connect it. With reset, closing it resets
// the connection.
func connect(addr *unix.SockaddrInet4, reset bool) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.EMFILE) {
			err = fmt.Errorf("%w: raise the limit of open files (ulimit -n)", err)
		}
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && reset {
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if err == nil {
		err = unix.Connect(fd, addr)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			err = fmt.Errorf("%w: no port is left for another connection (net.ipv4.ip_local_port_range)", err)
		}
		_ = unix.Close(fd) // it was not used
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// spareFiles is the number of files that a program may have open besides its connections.
const spareFiles = 200

// AllowFiles raises the limit of open files, of this process and of those that it starts
// afterwards, as far as needed for this number of connections. To exceed the hard limit it
// needs CAP_SYS_RESOURCE. If it can't, the error says what to do.
func AllowFiles(connections int) error {
	need := uint64(connections + spareFiles) // #nosec G115 -- positive
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= need {
		return nil
	}
	raised := unix.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return fmt.Errorf("%d connections need %d open files, and the limit is %d (%w): raise it (ulimit -Hn), or ask for fewer connections", connections, need, limit.Max, err)
	}
	return nil
}
