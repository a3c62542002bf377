package client

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls that never wait are made "raw": the Go scheduler is not told,
// which is half of what a small one costs.

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), errno
}

// send does not raise SIGPIPE.
func send(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// look returns what there is to be read and written, without waiting.
func look(ep int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	return int(n), errno
}

// wait is look that waits, to the nanosecond (epoll_pwait2, Linux 5.11).
func wait(ep int, events []unix.EpollEvent, d time.Duration) (int, unix.Errno) {
	ts := unix.NsecToTimespec(max(0, d.Nanoseconds()))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), errno
}

// watch tells epoll of a socket; number is what it calls it in events.
func watch(ep, op, fd, number int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(number)} // #nosec G115 -- maxConnections
	if _, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0); errno != 0 {
		return fmt.Errorf("epoll_ctl: %w", errno)
	}
	return nil
}

// connect opens a non-blocking socket that is, or will be, connected.
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

// spareFiles is how many files a program has open besides its connections.
const spareFiles = 200

// AllowFiles raises the limit of open files for this process, and those that it
// starts afterwards, so that it can have so many connections: up to the hard limit,
// or, with the right to do so (CAP_SYS_RESOURCE), beyond.
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
