package conn

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fileConn is the socket of a connection that a loop gives to the server. Package net would
// duplicate the descriptor, which fails when there are no more, and set the socket's options
// anew, fifteen system calls in all. This takes two.
type fileConn struct {
	*os.File
	raw    syscall.RawConn
	client net.Addr

	// For writeBuffers, which belongs to the goroutine that serves the connection.
	pieces net.Buffers
	iovecs []unix.Iovec
	err    error
	writev func(fd uintptr) (done bool)
}

// newFileConn makes a descriptor of a socket a net.Conn, which closes it. If it fails, the
// descriptor is closed.
func newFileConn(fd int, client netip.AddrPort) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket") // #nosec G115 -- a file descriptor
	if f == nil {
		return nil, os.ErrInvalid
	}
	raw, err := f.SyscallConn()
	if err == nil {
		err = f.SetDeadline(noDeadline) // fails if the runtime's poller does not have it
	}
	if err != nil {
		f.Close() //nolint:errcheck // nothing is left to be done about it
		return nil, err
	}
	c := &fileConn{File: f, raw: raw, client: net.TCPAddrFromAddrPort(client)}
	c.writev = c.writeOnce
	return c, nil
}

// closed returns err as package net has it.
func closed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

func (c *fileConn) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	return n, closed(err)
}

func (c *fileConn) Write(p []byte) (int, error) {
	n, err := c.File.Write(p)
	return n, closed(err)
}

func (c *fileConn) SetDeadline(t time.Time) error         { return closed(c.File.SetDeadline(t)) }
func (c *fileConn) RemoteAddr() net.Addr                  { return c.client }
func (c *fileConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// LocalAddr returns the server's address.
func (c *fileConn) LocalAddr() net.Addr {
	var local net.Addr = &net.TCPAddr{}
	c.raw.Control(func(fd uintptr) { //nolint:errcheck // a closed connection has no address
		sa, err := unix.Getsockname(int(fd)) // #nosec G115 -- a file descriptor
		if err != nil {
			return
		}
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			local = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
		case *unix.SockaddrInet6:
			local = &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
		}
	})
	return local
}

// CloseWrite tells the client that nothing more will come.
func (c *fileConn) CloseWrite() (err error) {
	controlErr := c.raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }) // #nosec G115 -- a file descriptor
	return errors.Join(controlErr, err)
}

// writeBuffers writes several pieces in one system call (writev(2)), as net.Buffers does with
// the connections of package net. It removes from pieces what was written.
func (c *fileConn) writeBuffers(pieces *net.Buffers) error {
	c.pieces, c.err = *pieces, nil
	err := c.raw.Write(c.writev)
	*pieces, c.pieces = c.pieces, nil
	if err == nil {
		err = c.err
	}
	return closed(err)
}

// writeOnce writes until all is written, and returns false when the client has to take
// something first.
func (c *fileConn) writeOnce(fd uintptr) (done bool) {
	for len(c.pieces) > 0 {
		c.iovecs = appendVectors(c.iovecs[:0], c.pieces[:min(len(c.pieces), batchPieces)])
		n, errno := writevRaw(fd, c.iovecs)
		clear(c.iovecs) // they would keep the memory of a snapshot
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			c.err = errno
			return true
		}
		for len(c.pieces) > 0 && n >= len(c.pieces[0]) {
			n -= len(c.pieces[0])
			c.pieces[0] = nil
			c.pieces = c.pieces[1:]
		}
		if n > 0 {
			c.pieces[0] = c.pieces[0][n:]
		}
	}
	return true
}
