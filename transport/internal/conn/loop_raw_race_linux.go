//go:build race

package conn

import "syscall"

// The race detector knows of the ordinary calls that what is read was written before.

func readRaw(fd int, p []byte) (int, syscall.Errno) { return plainErrno(syscall.Read(fd, p)) }

func writeRaw(fd int, p []byte) (int, syscall.Errno) { return plainErrno(syscall.Write(fd, p)) }

func plainErrno(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno) //nolint:errorlint // what these calls return
	return n, errno
}
