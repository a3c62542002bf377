package load

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/internal/ports"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// sourcePorts are those of this host, for all loads one after the other: the nodes that
// remember them know of no loads. Nothing else in a pod needs any.
var sourcePorts = sync.OnceValue(func() *ports.Pool { return ports.New(firstPort, lastPort) })

const (
	firstPort = 1024
	lastPort  = 65535
	// maxTaken bounds how many ports in a row may turn out to be in use: connections that
	// were closed in vain, to a pod that is gone, keep theirs.
	maxTaken = 1000
)

// errNoPort says that no source port has rested for long enough.
var errNoPort = errors.New("no source port has rested for long enough")

// dial opens a connection for req. If it fails, req has the outcome and the result is
// nil. If there is no source port, the request is not sent, and the error is errNoPort.
func (r *run) dial(ctx context.Context, req *record.Request, t *tally) (*connection, error) {
	// A request that is in flight when ctx ends is still finished.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.DialTimeout)
	defer cancel()
	conn, port, err := r.connect(ctx)
	if errors.Is(err, errNoPort) {
		t.noPort.Add(1)
		return nil, err
	}
	if err != nil {
		req.End = time.Now()
		req.Outcome, req.Detail = dialOutcome(err), err.Error()
		if port != 0 {
			req.Local = net.JoinHostPort(r.localHost(), strconv.Itoa(int(port)))
		}
		if isOwnFault(err) {
			req.Detail = "the load generator's own fault: " + req.Detail
			r.failed(err)
		}
		return nil, nil
	}
	t.opened.Add(1)
	if conn, err = r.secure(ctx, conn); err != nil {
		req.End = time.Now()
		req.Outcome, req.Detail = handshakeOutcome(err), err.Error()
		if port != 0 {
			r.ports.Release(port)
		}
		return nil, nil
	}
	c := newConnection(conn, req.Sent)
	if port != 0 {
		c.release = sync.OnceFunc(func() { r.ports.Release(port) })
	}
	return c, nil
}

// connect makes a connection, from a port that has rested if ports have to. On an error,
// port is the one from which it was tried, which has been given back; 0: not known.
func (r *run) connect(ctx context.Context) (conn net.Conn, port uint16, err error) {
	if r.PortRest <= 0 {
		conn, err = r.Dial(ctx, "tcp", r.Address)
		return conn, 0, err
	}
	for range maxTaken {
		port, ok := r.ports.Take(r.PortRest)
		if !ok {
			return nil, 0, errNoPort
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: int(port)}}
		conn, err := dialer.DialContext(ctx, "tcp", r.Address)
		if err == nil {
			return conn, port, nil
		}
		r.ports.Release(port)
		// The kernel still needs it, for an earlier connection or for another program.
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, port, err
		}
	}
	return nil, 0, errNoPort
}

// localHost returns the address from which connections to the target are made; empty if
// it is not known. No packet is sent for it.
func (r *run) localHost() string {
	c, err := new(net.Dialer).Dial("udp", r.Address)
	if err != nil {
		return ""
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return ""
	}
	return host
}
