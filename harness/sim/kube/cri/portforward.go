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
	// dialTimeout bounds the connection to a port of a pod, over its own loopback.
	dialTimeout = 10 * time.Second

	// lingerTimeout is how long, after the pod has closed a connection, the client
	// may go on sending; as containerd.
	lingerTimeout = time.Second
)

// PortForward connects the stream with a port that the pod listens on, on its
// loopback interface as kubectl's port-forward does it.
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

// dialInside tries IPv4 and, where that is refused, IPv6; if both fail, the error
// is that of IPv4.
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

// join copies both ways until the pod has closed the connection. That the client
// has no more to send is passed on, so that an answer that follows still arrives.
func join(conn net.Conn, stream io.ReadWriteCloser) {
	defer conn.Close()
	sent := make(chan struct{})
	// Ends with the client's stream, which the caller closes when we return.
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, stream) // whichever end breaks, the connection is over
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
