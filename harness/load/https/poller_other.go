//go:build !unix

package https

import "net"

// A poller would read from a socket without waiting; here nothing can.
type poller struct{}

func newPoller(net.Conn) poller { return poller{} }

func (poller) readable() bool { return false }

func (poller) readNow([]byte) (int, error) { return 0, errNothing }
