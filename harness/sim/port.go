package sim

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// heldPort is a TCP port on 127.0.0.1 that is reserved, whether the API server runs or
// not.
//
// A socket that never listens is bound to the port with SO_REUSEPORT. The kernel then
// gives the port to nobody who asks for a free one, and uses it for no outgoing
// connection. But another socket of the same user with this option may listen on it:
// the API server, with --permit-port-sharing. While the API server is down, connections
// are refused, as with a server that has crashed. So nobody can take the port before
// the API server has started, or during an outage.
type heldPort struct {
	number int
	socket *os.File
}

func holdPort() (*heldPort, error) {
	syscall.ForkLock.RLock() // no child may inherit the socket before it is close-on-exec
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	p := &heldPort{socket: os.NewFile(uintptr(fd), "port of the API server")}
	if err := p.bind(fd); err != nil {
		return nil, fmt.Errorf("hold a port on 127.0.0.1: %w", errors.Join(err, p.socket.Close()))
	}
	return p, nil
}

func (p *heldPort) bind(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	inet, ok := addr.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("the socket has an address of type %T", addr)
	}
	p.number = inet.Port
	return nil
}

func (p *heldPort) release() error { return p.socket.Close() }
