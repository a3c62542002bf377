// Package clustertest has what the tests of package cluster and the packages below share:
// a [Sink] that keeps and counts Services, a [Network] that can be frozen, and a [Tally]
// of missing rights.
package clustertest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Logger logs to t with go test -v, and nowhere without.
func Logger(t *testing.T) *zap.Logger {
	if testing.Verbose() {
		return zaptest.NewLogger(t)
	}
	return zap.NewNop()
}

// Background runs f until the test ends, and checks that no goroutine is left.
func Background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		end := testenv.Start()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			end.Within(t, 5*time.Second, "Run returns after the end of its context")
		case <-time.After(testenv.Patience):
			t.Error("Run did not return after the end of its context")
		}
	})
}

// Remains checks that ok stays true for d.
func Remains(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if !ok() {
			t.Fatalf("did not stay so for %v: %s", d, what)
		}
	}
}

// IsClosed reports whether a channel on which nothing is sent is closed.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A Tally counts missing rights.
type Tally struct {
	mu  sync.Mutex
	all []string
}

// Note is a function for OnForbidden.
func (c *Tally) Note(r *cluster.MissingRight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r.Verb+" "+r.Resource)
}

// Count returns how often Note was called with this right, such as "create events".
func (c *Tally) Count(what string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.all {
		if a == what {
			n++
		}
	}
	return n
}

// A Network can be frozen: connections stay open, but no bytes pass.
type Network struct {
	mu    sync.Mutex
	thaw  chan struct{} // nil while not frozen
	conns []net.Conn
}

// NewNetwork returns a Network whose connections are closed when the test ends, since
// nothing else ends a frozen connection.
func NewNetwork(t *testing.T) *Network {
	n := &Network{}
	t.Cleanup(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, c := range n.conns {
			c.Close() //nolint:errcheck // most are closed already
		}
	})
	return n
}

// Freeze freezes or thaws the network. A connection that was frozen stays frozen.
func (n *Network) Freeze(frozen bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if frozen == (n.thaw != nil) {
		return
	}
	if frozen {
		n.thaw = make(chan struct{})
	} else {
		close(n.thaw)
		n.thaw = nil
	}
}

func (n *Network) state() chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.thaw
}

// Dial is a function for rest.Config.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c := n.state(); c != nil {
		select {
		case <-c:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c, err := cluster.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	made := &conn{Conn: c, network: n, closed: make(chan struct{})}
	n.conns = append(n.conns, made)
	return made, nil
}

type conn struct {
	net.Conn
	network *Network
	once    sync.Once
	closed  chan struct{}
}

// pass waits while the connection is frozen, which never ends: bytes on their way are
// lost.
func (c *conn) pass() error {
	if c.network.state() == nil {
		return nil
	}
	<-c.closed
	return net.ErrClosed
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.pass(); e != nil {
		return 0, e
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
