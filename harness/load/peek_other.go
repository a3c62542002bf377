//go:build !unix

package load

import "syscall"

// hasClosed is not implemented on this system.
func (c *connection) hasClosed() bool { return false }

// unusable is not implemented on this system.
func (c *connection) unusable() bool { return false }

func socketOf(any) syscall.RawConn { return nil }
