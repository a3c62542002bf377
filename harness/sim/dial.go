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

// DialContext connects to the address of a Service (ClusterIP), a pod or a node, like a
// host beside the nodes: packets for Services go through the first node whose link is
// not cut. It is for http.Transport.DialContext and the like. The address must have an
// IP address, as there is no DNS.
//
// The connection is the kernel's own, with nothing in between, so that resets,
// half-closes and ends arrive as they were sent. The error is a *net.OpError, as of a
// dial in that network: errors.Is(err, syscall.ECONNREFUSED) and the like work, and so
// does Timeout.
func (c *Cluster) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dialer.dial(ctx, network, address)
}

// insideDialer gets connected sockets from process 1 of the cluster's namespaces
// (kube/dial.go).
type insideDialer struct {
	// The path of the socket begins with an open directory, since in a deep TMPDIR it
	// would be too long for a unix socket.
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

// dialAnswer is documented in kube/dial.go.
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
	if ctx.Err() != nil { // the socket then failed because it was closed for this
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: target{network, address}, Err: err}
}

// A target is the address in an error.
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

// receive reads the answer, which is one message, with the socket.
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

// fromRights returns a connection on the descriptor that came with a message.
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
	defer f.Close() // FileConn duplicates the descriptor
	return net.FileConn(f)
}
