//go:build !unix

package load

import "syscall"

// socketClosed is not implemented on this system.
func (c *connection) socketClosed() bool { return false }

// saidUnasked is not implemented on this system.
func (c *connection) saidUnasked() bool { return false }

func socketOf(any) syscall.RawConn { return nil }
