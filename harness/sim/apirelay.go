package sim

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	relayDialTimeout = 10 * time.Second
	// relayConnections bounds the connections from outside to the API server; more wait
	// in the listener's queue.
	relayConnections = 4096
)

// apiRelay makes the API server of a cluster reachable on 127.0.0.1 of this host, for
// kubectl and programs under test. It listens only while the API server runs, so that
// connections are refused during an outage. A nil apiRelay does nothing.
type apiRelay struct {
	port int // held by the cluster (heldPort)
	dial func(context.Context) (net.Conn, error)

	mu       sync.Mutex
	listener net.Listener // nil while stopped
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// start listens, unless it already does.
func (r *apiRelay) start() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	config := net.ListenConfig{Control: shareThePort}
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)))
	if err != nil {
		cancel()
		return err
	}
	r.listener, r.cancel = l, cancel
	r.running.Go(func() { r.accept(ctx, l) })
	return nil
}

// shareThePort lets the listener have the port that a heldPort holds.
func shareThePort(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); cerr != nil {
		return cerr
	}
	return err
}

// stop closes all connections, and waits until all goroutines have ended.
func (r *apiRelay) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener == nil {
		return
	}
	_ = r.listener.Close()
	r.listener = nil
	r.cancel()
	r.running.Wait()
}

func (r *apiRelay) accept(ctx context.Context, l net.Listener) {
	slots := make(chan struct{}, relayConnections)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := l.Accept()
		if err != nil {
			<-slots
			if ctx.Err() != nil {
				return
			}
			// Closed just before ctx ended, or out of descriptors.
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return
			}
			continue
		}
		r.running.Go(func() {
			defer func() { <-slots }()
			r.serve(ctx, conn)
		})
	}
}

// serve copies both ways, until both sides have ended, one has failed, or ctx ends.
func (r *apiRelay) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	dialCtx, cancel := context.WithTimeout(ctx, relayDialTimeout)
	server, err := r.dial(dialCtx)
	cancel()
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer stop()
	var upward sync.WaitGroup
	upward.Go(func() { pass(server, client) })
	pass(client, server)
	upward.Wait()
}

// pass copies until the end, and passes that on. If this fails, it closes both
// connections.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); err == nil && ok {
		if half.CloseWrite() == nil {
			return
		}
	}
	_ = to.Close()
	_ = from.Close()
}
