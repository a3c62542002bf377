package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// DialContext connects to an address in the cluster's network, of a Service
// (ClusterIP), a pod or a node, as a machine beside the nodes would: packets for
// Services go through the first node whose link is not cut. It is made for
// http.Transport.DialContext and the like. The address needs an IP address: there
// is no DNS.
//
// The connection is the kernel's own, with nothing in between: a reset, a
// half-close or an end arrives as it was sent. Errors are those of a dial in that
// network, *net.OpError as of package net; errors.Is(err, syscall.ECONNREFUSED)
// and the like work, and Timeout() of the error.
func (c *Cluster) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dialer.dial(ctx, network, address)
}

// insideDialer gets connected sockets from the fabric (kube/dial.go).
type insideDialer struct {
	// The path of the socket goes through an open directory: it is too long for a
	// unix socket's where TMPDIR is deep.
	dir  *os.File
	path string
}

func newInsideDialer(dir string) (*insideDialer, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &insideDialer{dir: f, path: filepath.Join(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), dialSocket)}, nil
}

func (d *insideDialer) close() error {
	if d == nil {
		return nil
	}
	if err := d.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// dialAnswer is described in kube/dial.go.
type dialAnswer struct {
	Error string `json:"error"`
	Errno int    `json:"errno"`
	Call  string `json:"call"`
}

func (d *insideDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.ask(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil { // the error of a socket that we have closed says less
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: target{network, address}, Err: err}
}

// target is the address in an error.
type target struct{ network, address string }

func (t target) Network() string { return t.network }
func (t target) String() string  { return t.address }

func (d *insideDialer) ask(ctx context.Context, network, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fabric, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: d.path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the cluster is gone: %w", err)
	}
	defer fabric.Close()
	stop := context.AfterFunc(ctx, func() { _ = fabric.Close() })
	defer stop()
	request, err := json.Marshal(map[string]string{"network": network, "address": address})
	if err != nil {
		return nil, err
	}
	if _, err := fabric.Write(append(request, '\n')); err != nil {
		return nil, err
	}
	return receive(fabric)
}

// receive reads the answer, which comes in one piece, with the socket.
func receive(fabric *net.UnixConn) (net.Conn, error) {
	line := make([]byte, 4096)
	rights := make([]byte, unix.CmsgSpace(4))
	n, nrights, _, _, err := fabric.ReadMsgUnix(line, rights)
	if err != nil {
		return nil, err
	}
	var answer dialAnswer
	if err := json.Unmarshal(line[:n], &answer); err != nil {
		return nil, fmt.Errorf("the cluster is gone, or speaks another version: %w", err)
	}
	if answer.Errno != 0 {
		return nil, os.NewSyscallError(answer.Call, syscall.Errno(answer.Errno))
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	return fromRights(rights[:nrights])
}

// fromRights makes a connection of the descriptor that came with a message.
func fromRights(rights []byte) (net.Conn, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("the answer came without its socket: are there descriptors left (ulimit -n)?")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "connection into the cluster")
	defer f.Close() // FileConn makes a descriptor of its own
	return net.FileConn(f)
}
