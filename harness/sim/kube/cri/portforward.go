package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// dialTimeout bounds the connection to a port of a pod, over its loopback
	// interface.
	dialTimeout = 10 * time.Second

	// lingerTimeout is how long the client may go on sending after the pod has closed
	// the connection, as in containerd.
	lingerTimeout = time.Second
)

// PortForward connects the stream to a port on the pod's loopback interface.
func (r streamRuntime) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	ns, err := r.s.namespacesOf(id)
	if err != nil {
		return err
	}
	ctx, finish, err := r.s.beginStream(ctx)
	if err != nil {
		return err
	}
	defer finish()
	conn, err := dialInside(ctx, ns, port)
	if err != nil {
		return fmt.Errorf("connect to port %d of the pod: %w", port, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	join(conn, stream)
	return nil
}

// dialInside tries IPv4 and, if that is refused, IPv6. If both fail, it returns the
// error of IPv4.
func dialInside(ctx context.Context, ns *namespaces, port int32) (net.Conn, error) {
	var conn net.Conn
	dialer := net.Dialer{Timeout: dialTimeout}
	dial := func(host string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	err := ns.inside(func() error {
		var err4, err6 error
		if conn, err4 = dial("127.0.0.1"); !errors.Is(err4, unix.ECONNREFUSED) {
			return err4
		}
		if conn, err6 = dial("::1"); err6 == nil {
			return nil
		}
		return err4
	})
	return conn, err
}

// join copies both ways until the pod has closed the connection. The end of the
// client's data is passed on, so that an answer to it still arrives.
func join(conn net.Conn, stream io.ReadWriteCloser) {
	defer conn.Close()
	sent := make(chan struct{})
	// Ends with the client's stream, which the caller closes after this returns.
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, stream) // if either end fails, the connection is over
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(stream, conn)
	_ = stream.Close()
	select {
	case <-sent:
	case <-time.After(lingerTimeout):
	}
}
