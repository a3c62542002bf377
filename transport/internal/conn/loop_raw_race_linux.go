//go:build race

package conn

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The race detector knows of the ordinary calls that what is read was written before.

func readRaw(fd int, p []byte) (int, syscall.Errno) { return plainErrno(syscall.Read(fd, p)) }

func writeRaw(fd int, p []byte) (int, syscall.Errno) { return plainErrno(syscall.Write(fd, p)) }

func plainErrno(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno) //nolint:errorlint // what these calls return
	return n, errno
}

func writevRaw(fd uintptr, v []unix.Iovec) (n int, errno syscall.Errno) {
	for _, piece := range v {
		m, errno := writeRaw(int(fd), unsafe.Slice(piece.Base, piece.Len)) // #nosec G103 G115 -- as it was made
		if n += max(m, 0); errno != 0 && n > 0 {
			return n, 0
		} else if errno != 0 || m < int(piece.Len) { // #nosec G115 -- as it was made
			return n, errno
		}
	}
	return n, 0
}
