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
