//go:build !linux

package conn

import (
	"errors"
	"net"
	"os"
	"time"
)

// On systems other than Linux a connection is closed without a last check for a request,
// and the listener without the socket filter. That is good enough for development.

func readNow(c net.Conn, p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return 0, err
	}
	n, err := c.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// There is no idle set either.
const canWait = false

func waitReadable(net.Conn) error { return errors.ErrUnsupported }

func readable(net.Conn) bool { return false }

func unread(net.Conn) int { return 0 }

func HungUp(net.Conn) bool { return false }

func boundUnsent(*net.TCPListener) error { return nil }

func refuseNewConnections(*net.TCPListener) error {
	return errors.New("socket filters exist on Linux only")
}
