//go:build !linux

package conn

import (
	"errors"
	"net"
)

// There are event loops on Linux only.

type (
	loops  struct{}
	socket struct{ fd int }
)

func newLoops(*Listener, int) (*loops, error) { return nil, errors.ErrUnsupported }

func (*loops) start()             {}
func (*loops) stop()              {}
func (*loops) wake()              {}
func (*loops) endIdle(instant)    {}
func (*loops) refuseNew() error   { return errors.ErrUnsupported }
func (*loops) closeSocket() error { return errors.ErrUnsupported }

func (c *Conn) inLoop() bool    { return false }
func (c *Conn) enterLoop() bool { return false }
func (c *Conn) peer() net.Addr  { return &net.TCPAddr{} }
func unreadSocket(int) int      { return 0 }
