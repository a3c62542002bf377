//go:build !unix

package load

import "syscall"

// hasClosed cannot be told here.
func (c *connection) hasClosed() bool { return false }

func socketOf(any) syscall.RawConn { return nil }
