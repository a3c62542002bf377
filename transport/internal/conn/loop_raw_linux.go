//go:build !race

package conn

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readRaw and writeRaw are for sockets that never wait; see the head of loop_linux.go.

func readRaw(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))) // #nosec G103 G115 -- for the system call
	return int(n), errno                                                                                           // #nosec G115 -- at most len(p), or -1
}

func writeRaw(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))) // #nosec G103 G115 -- as above
	return int(n), errno                                                                                            // #nosec G115 -- as above
}

func writevRaw(fd uintptr, v []unix.Iovec) (int, syscall.Errno) {
	if len(v) == 0 {
		return 0, 0
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v[0])), uintptr(len(v))) // #nosec G103 -- as above
	return int(n), errno                                                                                    // #nosec G115 -- as above
}
